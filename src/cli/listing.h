#pragma once
// Listing: the items of a list's answer, whatever the number of its pages, printed; and removing several.
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/api.h"
#include "cli/console.h"
#include "cli/format_template.h"

namespace lmsb::cli {

// The items point into the pages.
struct Listing {
  std::vector<json::Document> pages;
  std::vector<json::Value> items;
};

// Asks for page after page of `target`; blocks. Errors: those of the exchange; resource_exhausted after 1000 pages.
Result<Listing> fetch_all(Api& api, const std::string& target);

// Prints `items` as JSON, or as rows that `row_of` makes of them.
void print_list(const std::vector<json::Value>& items, bool json_wanted, const Row& header, Row (*row_of)(json::Value),
                Console& console);
// The same as JSON of objects that were asked for one by one.
void print_json_list(const std::vector<json::Document>& items, Console& console);
// The ids alone, a line each.
void print_ids(const std::vector<json::Value>& items, Console& console);

// Prints what is below `path` of each of `names`, as JSON, or what `format` says of it. Blocks. Returns the exit
// status: 1 where one could not be found, or has not what `format` wants, which is reported.
int inspect_each(Api& api, const std::string& path, const std::vector<std::string>& names, Console& console,
                 const FormatTemplate* format = nullptr);

// Removes `names` below `path` one by one, and prints those that are gone; what is not there is no error with `force`.
// Blocks. Returns the exit status: 1 where one could not be removed, which is reported.
int remove_each(Api& api, const std::string& path, const std::vector<std::string>& names, bool force, bool json_wanted,
                Console& console);

}  // namespace lmsb::cli
