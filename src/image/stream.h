#pragma once
// pump: copies a stream from one program to the next and hashes it on the way.
#include <atomic>
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

// Copies until `from` ends, then closes both; `to` is a socket. EPIPE: the reader of `to` has gone. Fails with
// deadline_exceeded at the deadline, and with cancelled within 0.2 s of *cancelled (which may be null).
Result<StreamFacts> pump(UniqueFd from, UniqueFd to, Deadline deadline, const std::atomic<bool>* cancelled);

}  // namespace lmsb::image
