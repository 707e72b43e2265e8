#pragma once
// Duplex: octets both ways, whatever carries them; what carry() (io/tunnel.h) wants of a connection. One loop; one
// read and one write at a time, both at once is well.
#include <cstddef>
#include <string_view>

#include "io/task.h"

namespace lmsb::io {

class Duplex {
 public:
  virtual ~Duplex() = default;
  // Reads what is there, at most `size` octets, waiting until there is something; 0 is the end. `buffer` outlives it.
  virtual Task<std::size_t> read_some(char* buffer, std::size_t size) = 0;
  // Writes all of `data`, which outlives the task, as the other end takes it.
  virtual Task<void> write_all(std::string_view data) = 0;
  // Whether it is over in both directions, as far as this end knows.
  virtual bool is_hung_up() const = 0;
  // Nothing more will be written. Where that has to be said it may wait for room to say it, a second at most.
  virtual Always<void> end_writing() = 0;
  // Ends it in both directions, and every wait: those with `cancelled`.
  virtual void end() = 0;
};

}  // namespace lmsb::io
