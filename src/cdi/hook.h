#pragma once
// Hooks of CDI files name programs of the machine that a container runtime would run on a root that the container has
// a say in. None is run here: what those that vendors' tools write mean is known by their words, and is done by us
// inside; any other makes its device unusable.
#include <string>
#include <vector>

#include "base/result.h"
#include "cdi/spec.h"

namespace lmsb::cdi {

struct Hook {
  std::string when;                    // "createContainer"
  std::string program;                 // absolute
  std::vector<std::string> arguments;  // [0] is the program's name
};

// Adds what it means to `edits`, or why that is not known to edits.fault. Errors: its words are malformed.
Status carry_out(const Hook& hook, Edits& edits);

}  // namespace lmsb::cdi
