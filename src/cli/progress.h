#pragma once
// Progress: how far long work has come, as one line on err that is drawn over and over, where err is a terminal.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/console.h"

namespace lmsb::cli {

class Progress {
 public:
  // Nothing is drawn unless `is_shown`. `whole`: so many octets; nothing: not known before.
  Progress(Console& console, std::string what, std::optional<std::uint64_t> whole, bool is_shown);
  // Takes the line away.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // So many octets more. Draws ten times a second at most.
  void add(std::uint64_t octets);
  std::uint64_t done() const { return done_; }

 private:
  Console& console_;
  std::string what_;
  std::optional<std::uint64_t> whole_;
  bool is_shown_;
  std::uint64_t done_ = 0;
  std::chrono::steady_clock::time_point drawn_{};
};

// "export  [=====>              ]  25%  1.5 MiB of 6.0 MiB", or without a whole "export  1.5 MiB".
std::string progress_line(const std::string& what, std::uint64_t done, std::optional<std::uint64_t> whole);

// Whether err is a terminal: then progress is shown.
bool shows_progress();

}  // namespace lmsb::cli
