#pragma once
// The demonstration model (models/tiny): a GGUF file that is part of the program, so that a machine which can download
// nothing still has a model that answers. It is named as what it is wherever somebody meets it, and never takes the
// place of another model.
#include <string_view>

namespace lmsb::model {

constexpr std::string_view kDemonstrationName = "demonstration";

// The file. Its pages are read from the program when they are used, not before.
std::string_view demonstration_file();

}  // namespace lmsb::model
