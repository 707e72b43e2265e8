// model pull: a file, a URL or a name; progress while it goes on.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <unistd.h>

#include <climits>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"
#include "cli/mounts_client.h"
#include "cli/progress.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

// A file's absolute path: the daemon's working directory is not ours. URLs and names stay as they are; what is no file,
// and does not look like one, is a name.
Result<std::string> source_of(const std::string& text) {
  if (text.find("://") != std::string::npos || text.starts_with("hf:")) return text;
  std::array<char, PATH_MAX> path;
  if (::realpath(text.c_str(), path.data()) != nullptr) return std::string(path.data());
  const bool looks_like_file = text.starts_with('/') || text.starts_with('.') || text.ends_with(".gguf");
  if (looks_like_file || errno != ENOENT) return Error::from_errno(errno, "find " + text);
  return text;
}

bool is_of_hugging_face(const std::string& source) {
  constexpr std::array<std::string_view, 3> kForms = {"hf:", "hf.co/", "huggingface.co/"};
  return std::any_of(kForms.begin(), kForms.end(),
                     [&source](std::string_view form) { return source.starts_with(form); });
}

// What a pull says while it goes on: progress where somebody sees it, and its end.
class PullView {
 public:
  explicit PullView(Console& console) : console_(console) {}

  Status take(std::string_view line) {
    LMSB_TRY(json::Document event, parse_json(std::string(line), "an event"));
    const std::string type = text_field(event.root(), "type");
    if (type == "error") return error_of(Answer{400, event.root().text()});
    if (type == "progress") show(event.root());
    if (type != "model") return {};
    progress_.reset();
    end_ = std::move(event);
    return {};
  }
  Result<json::Document> end() {
    if (end_) return *std::move(end_);
    return Error(ErrorCode::unavailable, "the daemon ended before the pull did")
        .with_hint("pull it again: it goes on where it was");
  }

 private:
  void show(json::Value event) {
    const std::string step = text_field(event, "step");
    const auto done = static_cast<std::uint64_t>(number_field(event, "completed_bytes").value_or(0));
    const auto whole = number_field(event, "total_bytes");
    if (step == "looking") return;
    const bool is_another = step != step_ || done < shown_ || whole.has_value() != has_whole_;
    if (is_another) {
      progress_.reset();
      const auto total = whole ? std::optional(static_cast<std::uint64_t>(*whole)) : std::nullopt;
      progress_ = std::make_unique<Progress>(console_, step, total, shows_progress());
      shown_ = 0;
    }
    step_ = step;
    has_whole_ = whole.has_value();
    progress_->add(done - shown_);
    shown_ = done;
  }

  Console& console_;
  std::unique_ptr<Progress> progress_;
  std::string step_;
  bool has_whole_ = false;
  std::uint64_t shown_ = 0;
  std::optional<json::Document> end_;
};

// A file is opened with the rights of who calls, which the daemon need not have. "" for URLs, and where there is no
// desk for it (over TCP): then the daemon opens the path by itself.
Result<std::string> handle_of(const std::string& source, const Connection& connection) {
  const auto socket = connection.files_socket();
  if (!source.starts_with('/') || !socket || ::access(socket->c_str(), F_OK) < 0) return std::string();
  return offer_file(*socket, source);
}

}  // namespace

Result<int> execute(const ModelPullCommand& command, Console& console) {
  LMSB_TRY(const std::string source, source_of(command.source));
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  LMSB_TRY(const std::string handle, handle_of(source, *connection));
  json::Writer body;
  body.begin_object().key("source").string(source);
  if (!handle.empty()) body.key("handle").string(handle);
  if (!command.name.empty()) body.key("name").string(command.name);
  if (const char* token = std::getenv("HF_TOKEN"); token != nullptr && *token != '\0' && is_of_hugging_face(source))
    body.key("token").string(token);
  const Call call("POST", "/v1/models/pull", std::move(body.end_object()).str());
  PullView view(console);
  LMSB_TRY(const Answer answer,
           connection->send_for_lines(call, [&view](std::string_view line) { return view.take(line); }));
  if (answer.status >= 400) return error_of(answer);
  LMSB_TRY(const json::Document model, view.end());
  const json::Value made = *model.root().find("model");
  console.out(command.target.json ? pretty(made) : text_field(made, "id") + "\n");
  return 0;
}

}  // namespace lmsb::cli
