#include "cli/listing.h"

#include "cli/values.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kMaxPages = 1000;

}  // namespace

Result<Listing> fetch_all(Api& api, const std::string& target) {
  Listing listing;
  std::string cursor;
  do {
    if (listing.pages.size() == kMaxPages) return Error(ErrorCode::resource_exhausted, "the list does not end");
    const std::string more = cursor.empty() ? "" : "?cursor=" + url_segment(cursor);
    LMSB_TRY(auto page, call_json(api, Call("GET", target + more)));
    cursor = text_field(page.root(), "next_cursor");
    const auto data = page.root().find("data");
    for (const json::Value item : data ? data->items() : std::vector<json::Value>()) listing.items.push_back(item);
    listing.pages.push_back(std::move(page));
  } while (!cursor.empty());
  return listing;
}

}  // namespace lmsb::cli
