#pragma once
// ModelPage: what `model show` prints of a model for people.
#include <string>

#include "json/value.h"

namespace lmsb::cli {

// "1.97M"; three digits, of thousands and more.
std::string human_count(double number);

// A line for each fact of the API's details of a model; what is not known has none.
std::string model_page(json::Value details);

}  // namespace lmsb::cli
