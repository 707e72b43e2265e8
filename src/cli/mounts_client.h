#pragma once
// mounts_client: how -v works on the local socket. The CLI opens the directory with its own rights and hands the
// descriptor to the launcher's mount desk (<run-dir>/mounts.sock), which answers with a token; a request to the daemon
// then names the token. So nobody mounts what they could not open.
#include <string>

#include "base/result.h"
#include "cli/values.h"

namespace lmsb::cli {

// A directory that the desk holds for one launch, within a minute.
struct OfferedMount {
  std::string token;   // 32 hexadecimal digits
  std::string target;  // absolute path inside
  bool read_only = false;
};

// Opens flag.source (which must be a directory) and hands it over. Blocks at most 10 s.
Result<OfferedMount> offer_mount(const std::string& mounts_socket, const MountFlag& flag);

// The same way for a file that the daemon is to read (`model pull FILE`), at its file desk; the token is good for a
// minute. Blocks at most 10 s.
Result<std::string> offer_file(const std::string& files_socket, const std::string& path);

}  // namespace lmsb::cli
