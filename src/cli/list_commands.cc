// ls, rm, image ls, model ls: the commands that ask one question and print the answer.

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"

namespace lmsb::cli {
namespace {

Row sandbox_row(json::Value sandbox) {
  return {text_field(sandbox, "id"), text_field(sandbox, "name"), text_field(sandbox, "image"),
          text_field(sandbox, "state"), text_field(sandbox, "created_at")};
}

// "sha256:" and twelve digits, as Docker's lists have it.
std::string short_digest(const std::string& digest) {
  constexpr std::size_t kShort = std::string_view("sha256:").size() + 12;
  return digest.starts_with("sha256:") ? digest.substr(0, kShort) : digest;
}

Row image_row(json::Value image) {
  return {text_field(image, "name"), short_digest(text_field(image, "digest")),
          human_size(number_field(image, "size_bytes").value_or(0)), text_field(image, "created_at"),
          flag_field(image, "default") ? "default" : ""};
}

Row model_row(json::Value model) {
  const char* what = flag_field(model, "demonstration") ? "demonstration only" : "";
  return {text_field(model, "id"), human_size(number_field(model, "size_bytes").value_or(0)),
          flag_field(model, "loaded") ? "loaded" : "", flag_field(model, "default") ? "default" : "", what};
}

}  // namespace

Result<int> execute(const ListCommand& command, Console& console) {
  ListFilter wanted = command.filter;
  for (const std::string& label : command.labels) {
    if (label.empty() || label.front() == '=')
      return Error(ErrorCode::invalid_argument, "--label needs KEY or KEY=VALUE");
    LMSB_CHECK(wanted.add("label=" + label));
  }
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const std::string filter = command.state.empty() ? "" : "?state=" + url_segment(command.state);
  LMSB_TRY(const auto all, fetch_all(*connection, "/v1/sandboxes" + filter));
  std::vector<json::Value> shown;
  for (const json::Value sandbox : all.items) {
    if (wanted.fits(sandbox)) shown.push_back(sandbox);
  }
  if (command.last && *command.last < shown.size()) shown.erase(shown.begin(), shown.end() - *command.last);
  if (command.format) {
    LMSB_TRY(const std::string text, command.format->format(shown));
    console.out(text);
  } else if (command.quiet) {
    print_ids(shown, console);
  } else {
    print_list(shown, command.target.json, {"ID", "NAME", "IMAGE", "STATE", "CREATED"}, sandbox_row, console);
  }
  return 0;
}

Result<int> execute(const RemoveCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  return remove_each(*connection, "/v1/sandboxes/", command.sandboxes, command.force, command.target.json, console);
}

Result<int> execute(const ImageListCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  LMSB_TRY(const auto images, fetch_all(*connection, "/v1/images"));
  if (command.quiet) {
    for (const json::Value image : images.items) console.out(printable(text_field(image, "name")) + "\n");
    return 0;
  }
  print_list(images.items, command.target.json, {"IMAGE", "DIGEST", "SIZE", "CREATED", ""}, image_row, console);
  return 0;
}

Result<int> execute(const ModelListCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  LMSB_TRY(const auto models, fetch_all(*connection, "/v1/models"));
  print_list(models.items, command.target.json, {"MODEL", "SIZE", "", "", ""}, model_row, console);
  return 0;
}

}  // namespace lmsb::cli
