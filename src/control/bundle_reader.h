#pragma once
// Reading a bundle of files (guest_protocol/bundle.h) that a sandbox has made. Pure; any thread.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/exec.h"

namespace lmsb::control {

struct Bundle {
  std::vector<File> files;
  std::map<std::string, int> errors;  // errno of what could not be read inside
};

// What is in `bundle`, which is hostile input: stops at the first thing that does not add up, at a file too many, and
// at what is cut off.
Bundle read_bundle(std::string_view bundle);

}  // namespace lmsb::control
