#include "cdi/hook.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace lmsb::cdi {
namespace {

std::string_view file_name(std::string_view path) { return path.substr(path.find_last_of('/') + 1); }

// The words behind the program's name: `nvidia-ctk hook NAME ...`, `nvidia-ctk-hook NAME ...`, later
// `nvidia-cdi-hook NAME ...`. Nothing: it is another program.
std::optional<std::vector<std::string>> known_words(const Hook& hook) {
  const std::string_view name = file_name(hook.program);
  if (hook.arguments.empty()) return {};
  std::vector<std::string> words(hook.arguments.begin() + 1, hook.arguments.end());
  if (name == "nvidia-ctk") {
    if (words.empty() || words[0] != "hook") return {};
    words.erase(words.begin());
    return words;
  }
  if (name == "nvidia-cdi-hook" || name == "nvidia-ctk-hook") return words;
  return {};
}

struct Option {
  std::string name;
  std::string value;
};

// "--name value" and "--name=value".
Result<std::vector<Option>> options_of(const std::vector<std::string>& words) {
  std::vector<Option> options;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("--")) return Error(ErrorCode::invalid_argument, "hook word " + quoted(word));
    const std::size_t equals = word.find('=');
    if (equals != std::string::npos) {
      options.push_back({word.substr(2, equals - 2), word.substr(equals + 1)});
    } else if (i + 1 < words.size()) {
      options.push_back({word.substr(2), words[++i]});
    } else {
      return Error(ErrorCode::invalid_argument, "hook word " + quoted(word) + " has no value");
    }
  }
  return options;
}

// "TARGET::PATH". What the target leads to is looked up by who follows the link, inside.
Status add_link(const std::string& text, Edits& edits) {
  const std::size_t colons = text.find("::");
  if (colons == std::string::npos || colons == 0)
    return Error(ErrorCode::invalid_argument, "link " + quoted(text) + " is not TARGET::PATH");
  Link link{text.substr(colons + 2), text.substr(0, colons)};
  if (!is_clean_path(link.path) || link.target.size() > kMaxPathOctets)
    return Error(ErrorCode::invalid_argument, "link " + quoted(link.path) + " is not at a plain absolute path");
  if (edits.links.size() >= kMaxEdits) return Error(ErrorCode::invalid_argument, "more than 1024 links");
  edits.links.push_back(std::move(link));
  return {};
}

Status add_folder(const std::string& path, Edits& edits) {
  if (!is_clean_path(path) || path.find(':') != std::string::npos)
    return Error(ErrorCode::invalid_argument, "library directory " + quoted(path) + " is not a plain absolute path");
  if (edits.library_directories.size() >= kMaxEdits)
    return Error(ErrorCode::invalid_argument, "more than 1024 library directories");
  edits.library_directories.push_back(path);
  return {};
}

// Hooks without effect here: all nodes of a sandbox may be opened by its commands (chmod), its /dev is read-only
// (disable-device-node-modification), and libraries of the image come first nowhere (enable-cuda-compat).
bool needs_nothing(std::string_view name) {
  return name == "chmod" || name == "disable-device-node-modification" || name == "enable-cuda-compat";
}

}  // namespace

Status carry_out(const Hook& hook, Edits& edits) {
  const auto words = known_words(hook);
  const auto refuse = [&] {
    edits.fault = "its hook " + quoted(hook.program) +
                  (hook.arguments.size() > 1 ? " " + quoted(hook.arguments[1]) : "") +
                  " is not one that is known here, and no program of the machine is run";
    return Status();
  };
  if (!words || words->empty() || (hook.when != "createContainer" && hook.when != "prestart")) return refuse();
  const std::string& name = words->front();
  if (needs_nothing(name)) return {};
  if (name != "create-symlinks" && name != "update-ldcache") return refuse();
  LMSB_TRY(const std::vector<Option> options, options_of(*words));
  for (const Option& option : options) {
    if (name == "create-symlinks" && option.name == "link") {
      LMSB_CHECK(add_link(option.value, edits));
    } else if (name == "update-ldcache" && option.name == "folder") {
      LMSB_CHECK(add_folder(option.value, edits));
    } else if (option.name != "container-spec" && option.name != "ldconfig-path") {
      return refuse();
    }
  }
  return {};
}

}  // namespace lmsb::cdi
