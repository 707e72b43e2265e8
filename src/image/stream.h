#pragma once
// pump: copies a stream from one program to the next and hashes it on the way.
#include <atomic>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "image/child.h"

namespace lmsb::image {

struct StreamFacts {
  std::string digest;  // "sha256:" and 64 hex digits
  Bytes size;
};

struct PumpOptions {
  Deadline deadline;
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(Bytes)> tick = [](Bytes) {};  // after each piece, and while none comes: so much has gone through
};

// Copies until `from` ends, then closes both; `to` is a socket. EPIPE: the reader of `to` has gone. Fails with
// deadline_exceeded at the deadline, and with cancelled within 0.2 s of *cancelled.
Result<StreamFacts> pump(UniqueFd from, UniqueFd to, const PumpOptions& options);

}  // namespace lmsb::image
