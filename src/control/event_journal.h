#pragma once
// EventJournal: the newest events in a file, one JSON object a line, so that a later daemon tells them, too, and gives
// no number twice. Each is written before anybody is told of it: one write(2), which takes as long as that.
//
// Numbers rise by one within the life of a daemon. Each life begins with a number of its own, above all that were given
// out before it, also where the end of the file was lost with the machine's power. One thread; blocks on the file.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "control/event_ring.h"
#include "control/events.h"

namespace lmsb::control {

// What is known of events and lives.
struct EventHistory {
  std::vector<std::uint64_t> lives;  // the number that each life began after, the oldest first; at least this one's
  // Before the events that are there others were dropped, up to this number; 0: none.
  std::uint64_t dropped = 0;
  // Of what came before this number some may be missing, nobody knows how much: 0: none is.
  std::uint64_t unknown = 0;
};

class EventJournal {
 public:
  static constexpr std::size_t kMostLives = 1000;

  // `log` outlives it.
  EventJournal(std::string path, Logger& log) : path_(std::move(path)), log_(log) {}
  // Notes that nothing is missing at the end.
  ~EventJournal();
  EventJournal(const EventJournal&) = delete;
  EventJournal& operator=(const EventJournal&) = delete;

  // Reads what there is into `ring` and begins a life; where there is nothing, `before` says what that means. What
  // fails the log says, and then events are in memory alone.
  enum class Before : std::uint8_t { nothing, unknown };
  EventHistory begin(EventRing& ring, Before before);
  // `ring` has it, too; now and then the file is written anew with what that has.
  void write(const Event& event, const EventRing& ring, const EventHistory& history);

 private:
  struct Reading;
  Status read(Reading& reading, Before before) const;
  Status rewrite(const EventRing& ring, const EventHistory& history);
  Status append(const std::string& line);
  void complain(const Status& status);

  const std::string path_;
  Logger& log_;
  std::string boot_;
  UniqueFd file_;
  std::uint64_t size_ = 0;    // of the file
  std::size_t appended_ = 0;  // lines since it was written anew
  std::uint64_t last_ = 0;    // number of the newest event, or of the life
  bool has_complained_ = false;
};

// A moment as the number that a life begins after: microseconds since 1970, so that later lives have higher ones.
std::uint64_t number_of_now();

}  // namespace lmsb::control
