// lm-sandbox-archiver: reads or writes one disk as a stream, for the export and import of snapshots. Started by the
// launcher with its channel as descriptor 3, as guests are; static, and run from a sealed memfd.
#include <sys/prctl.h>

#include "guest/archiver.h"
#include "guest_protocol/setup.h"

int main() {
  ::prctl(PR_SET_DUMPABLE, 0);
  static lmsb::guest_protocol::ArchiveSetup setup;
  static lmsb::ReceivedFds fds;
  const int channel = lmsb::guest_protocol::kChannelFd;
  const ssize_t size = lmsb::receive_message(channel, &setup, sizeof setup, fds);
  lmsb::guest_protocol::ArchiveReport report;
  report.error = EPROTO;
  if (size == static_cast<ssize_t>(sizeof setup)) report = lmsb::guest::run_archiver(setup, fds);
  const iovec part{&report, sizeof report};
  return lmsb::send_message(channel, &part, 1) && report.error == 0 ? 0 : 1;
}
