#include <algorithm>
#include <array>
#include <charconv>
#include <unistd.h>

#include "serve/serve.h"

namespace lmsb::serve {
namespace {

// Flags that are configuration keys under another spelling.
struct FlagKey {
  const char* flag;
  const char* key;
  bool is_switch;
};
constexpr std::array<FlagKey, 18> kFlags = {{{"--listen", "listen", false},
                                             {"--ssh-listen", "ssh_listen", false},
                                             {"--data-dir", "data_dir", false},
                                             {"--run-dir", "run_dir", false},
                                             {"--disks", "disks.kind", false},
                                             {"--socket-group", "socket_group", false},
                                             {"--runtime", "runtime", false},
                                             {"--default-image", "default_image", false},
                                             {"--allow-host", "allow_host", false},
                                             {"--allow-origin", "allow_origin", false},
                                             {"--tls-cert", "tls.cert_file", false},
                                             {"--tls-key", "tls.key_file", false},
                                             {"--log-level", "log_level", false},
                                             {"--log-format", "log_format", false},
                                             {"--llama-server", "model.llama_server", false},
                                             {"--upstream", "upstream.base_url", false},
                                             {"--upstream-model", "upstream.model", false},
                                             {"--offline", "offline", true}}};

std::vector<std::string> process_environment() {
  std::vector<std::string> list;
  for (char** at = environ; *at != nullptr; ++at) list.emplace_back(*at);
  return list;
}

Error bad_flag(const std::string& what) {
  return Error(ErrorCode::invalid_argument, what).with_hint("lm-sandbox serve --help lists the flags");
}

// `otherwise`: what is said of anything else.
Result<int> non_negative(const std::string& text, const Error& otherwise) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return otherwise;
  return number;
}

Result<int> descriptor_number(const std::string& flag, const std::string& text) {
  return non_negative(text, bad_flag(flag + " needs the number of an open descriptor, not '" + text + "'"));
}

Result<pid_t> process_number(const std::string& flag, const std::string& text) {
  LMSB_TRY(const int number, non_negative(text, bad_flag(flag + " needs the number of a process, not '" + text + "'")));
  return pid_t{number};
}

// Flags of ours that take a value and are no configuration keys.
bool is_own_flag(const std::string& name) {
  return name == "--config" || name == "--ready-fd" || name == "--handed-file" || name == "--listen-fd" ||
         name == "--devices-fd" || name == "--settings" || name == "--started-by";
}

// Flags of ours that take none. False when `name` is another.
bool take_switch(const std::string& name, ServeArguments& parsed) {
  if (name == "--die-with-parent") {
    parsed.die_with_parent = true;
  } else if (name == "--stop-sandboxes") {
    parsed.stop_sandboxes = true;
  } else if (name == "--rootless") {
    parsed.starter = launcher::Starter::user;
  } else if (name == "--shared-ids") {
    parsed.has_own_ids = false;
  } else {
    return false;
  }
  return true;
}

// False when `name` is another flag.
Result<bool> take_own_flag(const std::string& name, const std::string& value, ServeArguments& parsed) {
  if (name == "--ready-fd") {
    LMSB_TRY(parsed.ready_fd, descriptor_number(name, value));
  } else if (name == "--listen-fd") {
    LMSB_TRY(const int fd, descriptor_number(name, value));
    parsed.listen_fds.push_back(fd);
  } else if (name == "--devices-fd") {
    LMSB_TRY(parsed.devices_fd, descriptor_number(name, value));
  } else if (name == "--started-by") {
    LMSB_TRY(parsed.started_by, process_number(name, value));
  } else if (name == "--config") {
    parsed.sources.files.push_back("!" + value);
  } else if (name == "--settings") {  // a file that may be missing
    parsed.sources.files.push_back(value);
  } else if (name == "--handed-file") {
    parsed.handed_files.push_back(value);
  } else {
    return false;
  }
  return true;
}

}  // namespace

Result<ServeArguments> parse_arguments(const std::vector<std::string>& arguments) {
  ServeArguments parsed;
  parsed.sources.environment = process_environment();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string name = arguments[i];
    std::string value;
    const std::size_t equals = name.find('=');
    const bool has_value = name.starts_with("--") && equals != std::string::npos;
    if (has_value) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    if (take_switch(name, parsed)) continue;
    const auto flag = std::find_if(kFlags.begin(), kFlags.end(), [&](const FlagKey& f) { return name == f.flag; });
    if (flag == kFlags.end() && !is_own_flag(name)) return bad_flag("unknown flag " + name);
    if (flag != kFlags.end() && flag->is_switch) {
      parsed.sources.flags.push_back({flag->key, has_value ? value : "true"});
      continue;
    }
    if (!has_value) {
      if (i + 1 == arguments.size()) return bad_flag(name + " needs a value");
      value = arguments[++i];
    }
    LMSB_TRY(const bool is_taken, take_own_flag(name, value, parsed));
    if (is_taken) continue;
    if (name == "--listen" && value == "off") {
      parsed.is_socket_only = true;
    } else {
      parsed.sources.flags.push_back({flag->key, value});
    }
  }
  if (parsed.sources.files.empty()) parsed.sources.files = {kSystemSettings};
  return parsed;
}

}  // namespace lmsb::serve
