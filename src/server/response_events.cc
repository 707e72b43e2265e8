#include "server/response_events.h"

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "server/json_edit.h"

namespace lmsb::server {
namespace {

// Of one response; more get no index.
constexpr std::size_t kMaxItems = 1024;
constexpr std::size_t kMaxId = 256;

bool is_about(std::string_view type, std::string_view what) { return type.find(what) != std::string_view::npos; }

class ResponseForm final : public EventForm {
 public:
  Passed pass(std::string_view event) override {
    json::ParseFault fault;
    const auto document = json::Document::parse(data_of(event), fault);
    if (!document) return {std::string(event)};  // a comment
    const json::Value root = document->root();
    const std::string_view type = text_of(root, "type");
    const bool is_last = type == "response.completed" || type == "response.incomplete" || type == "response.failed";
    return {with_data(event, with_members(root, missing(root, type))), is_last};
  }

  std::string say(const Error& error) override { return plain_->say(error); }

 private:
  Members missing(json::Value root, std::string_view type) {
    Members members;
    const auto add = [&](std::string_view name, std::string value) {
      if (!root.find(name)) members.emplace_back(name, std::move(value));
    };
    add("sequence_number", std::to_string(sequence_++));
    if (const auto index = index_of(root)) {
      add("output_index", std::to_string(*index));
      if (is_about(type, "output_text") || is_about(type, "content_part") || is_about(type, "reasoning_text"))
        add("content_index", "0");  // llama-server's items have one part each
      if (is_about(type, "reasoning_summary")) add("summary_index", "0");
    }
    const auto response = root.find("response");
    if (response && !response->find("output"))
      members.emplace_back("response", with_members(*response, {{"output", "[]"}}));
    return members;
  }

  // Of the item that an event is about, counted as they come.
  std::optional<std::size_t> index_of(json::Value root) {
    const auto item = root.find("item");
    const std::string id(item ? text_of(*item, "id") : text_of(root, "item_id"));
    if (id.empty() || id.size() > kMaxId) return std::nullopt;
    const auto known = items_.find(id);
    if (known != items_.end()) return known->second;
    if (items_.size() == kMaxItems) return std::nullopt;
    return items_.emplace(id, items_.size()).first->second;
  }

  const std::unique_ptr<EventForm> plain_ = openai_form();
  std::uint64_t sequence_ = 0;
  std::map<std::string, std::size_t> items_;
};

}  // namespace

std::unique_ptr<EventForm> response_form() { return std::make_unique<ResponseForm>(); }

}  // namespace lmsb::server
