#include "cli/listing.h"

#include "cli/values.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kMaxPages = 1000;

std::string as_json(const std::vector<json::Value>& items) {
  json::Writer writer;
  writer.begin_object().key("data").begin_array();
  for (const json::Value item : items) writer.raw(item.text());
  return pretty_text(std::move(writer.end_array().end_object()).str());
}

Result<std::string> inspected(Api& api, const std::string& target, const FormatTemplate* format) {
  LMSB_TRY(const auto answer, call_json(api, Call("GET", target)));
  if (format == nullptr) return pretty(answer.root());
  return format->format({answer.root()});
}

}  // namespace

Result<Listing> fetch_all(Api& api, const std::string& target) {
  Listing listing;
  std::string cursor;
  do {
    if (listing.pages.size() == kMaxPages) return Error(ErrorCode::resource_exhausted, "the list does not end");
    const char* const joint = target.find('?') == std::string::npos ? "?cursor=" : "&cursor=";
    const std::string more = cursor.empty() ? "" : joint + url_segment(cursor);
    LMSB_TRY(auto page, call_json(api, Call("GET", target + more)));
    cursor = text_field(page.root(), "next_cursor");
    const auto data = page.root().find("data");
    for (const json::Value item : data ? data->items() : std::vector<json::Value>()) listing.items.push_back(item);
    listing.pages.push_back(std::move(page));
  } while (!cursor.empty());
  return listing;
}

void print_list(const std::vector<json::Value>& items, bool json_wanted, const Row& header, Row (*row_of)(json::Value),
                Console& console) {
  if (json_wanted) return console.out(as_json(items));
  std::vector<Row> rows;
  for (const json::Value item : items) rows.push_back(row_of(item));
  console.out(format_table(header, rows));
}

void print_json_list(const std::vector<json::Document>& items, Console& console) {
  std::vector<json::Value> roots;
  for (const json::Document& item : items) roots.push_back(item.root());
  console.out(as_json(roots));
}

void print_ids(const std::vector<json::Value>& items, Console& console) {
  for (const json::Value item : items) console.out(text_field(item, "id") + "\n");
}

int inspect_each(Api& api, const std::string& path, const std::vector<std::string>& names, Console& console,
                 const FormatTemplate* format) {
  int status = 0;
  for (const std::string& name : names) {
    const auto text = inspected(api, path + url_segment(name), format);
    if (text.ok()) {
      console.out(*text);
    } else {
      report(console, text.error());
      status = 1;
    }
  }
  return status;
}

int remove_each(Api& api, const std::string& path, const std::vector<std::string>& names, bool force, bool json_wanted,
                Console& console) {
  int status = 0;
  json::Writer removed;
  removed.begin_object().key("removed").begin_array();
  for (const std::string& name : names) {
    const auto answer = call_json(api, Call("DELETE", path + url_segment(name)));
    if (answer.ok()) {
      removed.string(name);
      if (!json_wanted) console.out(name + "\n");
    } else if (!force || answer.error().code() != ErrorCode::not_found) {
      report(console, answer.error());
      status = 1;
    }
  }
  removed.end_array().end_object();
  if (json_wanted) console.out(pretty_text(std::move(removed).str()));
  return status;
}

}  // namespace lmsb::cli
