#pragma once
// Listing: the items of a list's answer, whatever the number of its pages.
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/api.h"

namespace lmsb::cli {

// The items point into the pages.
struct Listing {
  std::vector<json::Document> pages;
  std::vector<json::Value> items;
};

// Asks for page after page of `target`; blocks. Errors: those of the exchange; resource_exhausted after 1000 pages.
Result<Listing> fetch_all(Api& api, const std::string& target);

}  // namespace lmsb::cli
