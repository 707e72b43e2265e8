#pragma once
// Reading a bundle of files (guest_protocol/bundle.h) that a sandbox has made. Pure; any thread.
#include <string_view>
#include <vector>

#include "control/exec.h"

namespace lmsb::control {

// The files of `bundle`, which is hostile input: stops at the first thing that does not add up, at a file too many, and
// at what is cut off. A file that could not be read inside is left out.
std::vector<File> read_bundle(std::string_view bundle);

}  // namespace lmsb::control
