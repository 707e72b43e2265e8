#include "config/config.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>
#include <sys/stat.h>
#include <utility>

#include "base/text.h"
#include "config/schema.h"
#include "config/toml_file.h"

namespace lmsb::config {
namespace {

constexpr Bytes kMostOfAFile = Bytes::MiB(1);
constexpr std::string_view kPrefix = "LM_SANDBOX_";
// Variables of ours that are no settings of the daemon.
constexpr std::array<std::string_view, 6> kOtherVariables = {"LM_SANDBOX_HOST",    "LM_SANDBOX_CA",
                                                             "LM_SANDBOX_API_KEY", "LM_SANDBOX_LAUNCHER_FD",
                                                             "LM_SANDBOX_MODEL",   "LM_SANDBOX_CONFIG"};

// What has been read so far, lowest source first.
struct Loader {
  const Sources& sources;
  Loaded out = {};
  std::map<std::string_view, std::size_t> layer = {};  // which source set a key; the highest wins
  std::size_t current = 0;
};

Result<std::string> read(Loader& loader, const std::string& path) {
  auto& files = loader.out.files;
  if (std::find(files.begin(), files.end(), path) == files.end()) files.push_back(path);
  const auto handed = loader.sources.handed.find(path);
  return handed != loader.sources.handed.end() ? handed->second : read_file(path, kMostOfAFile);
}

Status set(Loader& loader, const Setting& setting, const Value& value, std::string origin) {
  LMSB_CHECK(assign(loader.out.config, setting, value));
  loader.out.origin[std::string(setting.key)] = std::move(origin);
  loader.layer[setting.key] = loader.current;
  return {};
}

// ---- Files

Error unknown_key(const std::string& key) {
  const Setting& nearest = nearest_setting(key);
  return Error(ErrorCode::invalid_argument,
               "unknown key " + quoted(key) + "; the nearest known one is " + std::string(nearest.key))
      .with_hint("`lm-sandbox config example` lists every key");
}

Status apply_entry(Loader& loader, const Entry& entry, const std::string& path) {
  const auto* other = std::get_if<OtherValue>(&entry.value);
  if (other != nullptr && other->kind == "a table" && is_section(entry.key)) return {};
  const std::string line = path + ':' + std::to_string(entry.line);
  const std::string place = line + ':' + std::to_string(entry.column);
  const Setting* setting = find_setting(entry.key);
  if (setting == nullptr) return unknown_key(entry.key).with_context(place);
  auto done = set(loader, *setting, entry.value, line);
  if (!done.ok()) return std::move(done).error().with_context(place);
  return {};
}

Status apply_file(Loader& loader, const std::string& file) {
  const bool required = file.starts_with('!');
  const std::string path = required ? file.substr(1) : file;
  auto text = read(loader, path);
  if (!text.ok() && !required && text.error().code() == ErrorCode::not_found) return {};
  if (!text.ok()) return std::move(text).error().with_context("read the configuration");
  LMSB_TRY(const auto entries, parse_toml(*text, path));
  for (const Entry& entry : entries) LMSB_CHECK(apply_entry(loader, entry, path));
  return {};
}

// ---- Environment

// Kubernetes sets these for every Service whose name begins with lm-sandbox.
bool is_from_kubernetes(std::string_view name) {
  return name.ends_with("_PORT") || name.find("_PORT_") != std::string_view::npos ||
         name.find("_SERVICE_") != std::string_view::npos;
}

bool is_expected(std::string_view name) {
  return is_from_kubernetes(name) ||
         std::find(kOtherVariables.begin(), kOtherVariables.end(), name) != kOtherVariables.end();
}

// "LM_SANDBOX_POOL__SIZE" to "pool.size".
std::string key_of_variable(std::string_view name) {
  std::string key(name.substr(kPrefix.size()));
  for (char& c : key) c = (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  for (auto at = key.find("__"); at != std::string::npos; at = key.find("__", at + 1)) key.replace(at, 2, ".");
  return key;
}

void warn_of_variable(Loader& loader, const std::string& name) {
  const Setting& nearest = nearest_setting(key_of_variable(name));
  loader.out.warnings.push_back("unknown variable " + quoted(name) + " has no effect; the nearest known one is " +
                                environment_name(nearest));
}

Status apply_environment(Loader& loader, const std::vector<std::string>& environment) {
  std::set<std::string> unknown;
  for (const std::string& variable : environment) {
    const auto equals = variable.find('=');
    const std::string name = variable.substr(0, equals);
    if (equals == std::string::npos || !name.starts_with(kPrefix)) continue;
    const Setting* setting = find_setting(key_of_variable(name));
    if (setting == nullptr || environment_name(*setting) != name) {
      if (!is_expected(name) && unknown.insert(name).second) warn_of_variable(loader, name);
      continue;
    }
    const Value value = value_from_text(*setting, std::string_view(variable).substr(equals + 1));
    const std::string origin = "environment " + name;
    auto done = set(loader, *setting, value, origin);
    if (!done.ok()) return std::move(done).error().with_context(origin);
  }
  return {};
}

// ---- Flags

std::string flag_name(std::string_view key) {
  std::string name = "--" + std::string(key);
  for (char& c : name) c = (c == '_' || c == '.') ? '-' : c;
  return name;
}

bool is_list(const Setting& setting) {
  Config config;
  return std::holds_alternative<std::vector<std::string>*>(setting.field(config));
}

// A list's value is all that its flag has been given so far.
Value flag_value(const Setting& setting, const Flag& flag, std::map<std::string, std::vector<std::string>>& lists) {
  if (!is_list(setting)) return value_from_text(setting, flag.value);
  lists[flag.key].push_back(flag.value);
  return lists[flag.key];
}

Status apply_flags(Loader& loader, const std::vector<Flag>& flags) {
  std::map<std::string, std::vector<std::string>> lists;
  for (const Flag& flag : flags) {
    const std::string origin = "flag " + flag_name(flag.key);
    const Setting* setting = find_setting(flag.key);
    if (setting == nullptr) return unknown_key(flag.key).with_context(origin);
    auto done = set(loader, *setting, flag_value(*setting, flag, lists), origin);
    if (!done.ok()) return std::move(done).error().with_context(origin);
  }
  return {};
}

// ---- Files that hold secrets

Result<std::string> read_secret_file(Loader& loader, const std::string& key, const std::string& path) {
  auto text = read(loader, path);
  if (!text.ok()) return std::move(text).error().with_context(key);
  struct stat info = {};
  if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IROTH) != 0) {
    loader.out.warnings.push_back(key + ": everyone on this machine can read " + path + "; chmod o-r it");
  }
  return *std::move(text);
}

// A private key is its owner's alone, or also that of root's group.
void warn_of_open_key(Loader& loader, const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  const bool others_read = (info.st_mode & S_IROTH) != 0;
  const bool group_reads = (info.st_mode & S_IRGRP) != 0 && info.st_gid != 0;
  if (!others_read && !group_reads) return;
  loader.out.warnings.push_back("tls.key_file: " + std::string(others_read ? "everyone" : "a group") +
                                " on this machine can read " + path + "; chmod 600 it");
}

std::string without_newline(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

// Fills the secret from its _file form, unless a higher source gives the secret itself.
Status resolve_secret(Loader& loader, const Setting& setting, Secret& secret) {
  const std::string key(setting.key);
  const Setting* file = find_setting(key + "_file");
  if (file == nullptr) return {};
  std::string& path = *std::get<std::string*>(file->field(loader.out.config));
  const std::size_t own = loader.layer[setting.key];
  const std::size_t files = loader.layer[file->key];
  if (path.empty()) return {};
  if (own == files && !secret.empty()) {
    return Error(ErrorCode::invalid_argument,
                 key + " (" + loader.out.origin[key] + ") and " + key + "_file are both given; remove one");
  }
  if (own > files) return path.clear(), Status();
  LMSB_TRY(std::string text, read_secret_file(loader, std::string(file->key), path));
  text = without_newline(std::move(text));
  if (text.empty()) return Error(ErrorCode::invalid_argument, std::string(file->key) + ": " + path + " is empty");
  secret = Secret(std::move(text));
  loader.out.origin[key] = loader.out.origin[std::string(file->key)];
  return {};
}

Status resolve_secrets(Loader& loader) {
  for (const Setting& setting : settings()) {
    const Field field = setting.field(loader.out.config);
    if (const auto* secret = std::get_if<Secret*>(&field)) LMSB_CHECK(resolve_secret(loader, setting, **secret));
  }
  return {};
}

// One key a line; empty lines and those that begin with '#' are passed over.
std::vector<Secret> key_lines(std::string_view text) {
  std::vector<Secret> keys;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string line = without_newline(std::string(text.substr(0, end)));
    if (!line.empty() && line[0] != '#') keys.emplace_back(std::move(line));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return keys;
}

// A file without a key is an error: who names one means to ask for keys.
Status read_keys(Loader& loader) {
  Config::Auth& auth = loader.out.config.auth;
  if (auth.key_file.empty()) return {};
  LMSB_TRY(const std::string text, read_secret_file(loader, "auth.key_file", auth.key_file));
  auth.keys = key_lines(text);
  if (!auth.keys.empty()) return {};
  return Error(ErrorCode::invalid_argument, "auth.key_file: " + auth.key_file + " holds no key");
}

Result<std::string> read_pem(Loader& loader, const std::string& key, const std::string& path) {
  auto text = read(loader, path);
  if (!text.ok())
    return std::move(text).error().with_context(key).with_hint("name a file that is there and that root can read");
  return *std::move(text);
}

// What is in the files is looked at by who serves with it.
Status read_tls(Loader& loader) {
  Config::Tls& tls = loader.out.config.tls;
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    const bool has_certificate = !tls.cert_file.empty();
    const std::string given = has_certificate ? "tls.cert_file" : "tls.key_file";
    const std::string missing = has_certificate ? "tls.key_file" : "tls.cert_file";
    return Error(ErrorCode::invalid_argument, given + " (" + loader.out.origin[given] + ") is given without " + missing)
        .with_hint("HTTPS needs both: set " + missing + " too, or neither");
  }
  if (!tls.is_on()) return {};
  LMSB_TRY(tls.certificates, read_pem(loader, "tls.cert_file", tls.cert_file));
  LMSB_TRY(std::string key, read_pem(loader, "tls.key_file", tls.key_file));
  tls.key = Secret(std::move(key));
  warn_of_open_key(loader, tls.key_file);
  return {};
}

// Without the file there is no credential, and all else goes on. Its form is checked by who reads the rest of it.
void read_credentials(Loader& loader) {
  auto& network = loader.out.config.network;
  for (const std::string& text : network.credentials) {
    const std::size_t at = text.rfind("@/");
    if (at == std::string::npos) continue;
    const std::string path = text.substr(at + 1);
    Config::Network::SecretFile file;
    auto read = read_secret_file(loader, "network.credentials", path);
    if (read.ok()) {
      file.secret = Secret(without_newline(*std::move(read)));
      if (file.secret.empty()) file.fault = path + " is empty";
    } else {
      file.fault = read.error().message();
    }
    if (!file.fault.empty())
      loader.out.warnings.push_back(file.fault + "; requests that need this credential are refused");
    network.credential_files.insert_or_assign(path, std::move(file));
  }
}

// ---- What is still to come

// A service that is not there yet is no reason to serve nothing; who set its address is told.
void warn_of_ssh(Loader& loader) {
  const std::string& address = loader.out.config.ssh_listen;
  if (address == "off" || address == Config().ssh_listen) return;
  loader.out.warnings.push_back("ssh_listen: not yet: no SSH is served on " + address);
}

// ---- Printing

std::string section_of(std::string_view key) {
  const auto dot = key.find('.');
  return dot == std::string_view::npos ? "" : std::string(key.substr(0, dot));
}

}  // namespace

Result<Loaded> load(const Sources& sources) {
  Loader loader{.sources = sources};
  for (const Setting& setting : settings()) loader.out.origin[std::string(setting.key)] = "default";
  for (const std::string& file : sources.files) {
    ++loader.current;
    LMSB_CHECK(apply_file(loader, file));
  }
  ++loader.current;
  LMSB_CHECK(apply_environment(loader, sources.environment));
  ++loader.current;
  LMSB_CHECK(apply_flags(loader, sources.flags));
  LMSB_CHECK(resolve_secrets(loader));
  LMSB_CHECK(read_keys(loader));
  read_credentials(loader);
  LMSB_CHECK(read_tls(loader));
  warn_of_ssh(loader);
  return std::move(loader.out);
}

std::vector<std::string> differing_keys(const Config& a, const Config& b) {
  std::vector<std::string> keys;
  for (const Setting& setting : settings())
    if (!is_same(a, b, setting)) keys.emplace_back(setting.key);
  return keys;
}

std::string example() {
  const Config defaults;
  std::string out =
      "# Configuration of `lm-sandbox serve`. Every key is listed at its default; remove the # to set it.\n"
      "# Flags and the environment (LM_SANDBOX_A__B for the key a.b) come before this file.\n";
  std::string section;
  for (const Setting& setting : settings()) {
    const std::string own = section_of(setting.key);
    if (own != section) out += "\n[" + own + "]\n";
    section = own;
    const std::string_view leaf = setting.key.substr(own.empty() ? 0 : own.size() + 1);
    out += "\n# " + std::string(setting.about) + "\n# Allowed: " + allowed(setting) + ".\n#" + std::string(leaf) +
           " = " + render(defaults, setting) + '\n';
  }
  return out;
}

std::string show(const Loaded& loaded, bool with_origin) {
  std::string out;
  for (const Setting& setting : settings()) {
    const std::string key(setting.key);
    out += key + " = " + render(loaded.config, setting);
    const auto origin = loaded.origin.find(key);
    if (with_origin && origin != loaded.origin.end()) out += "  # " + origin->second;
    out += '\n';
  }
  return out;
}

// What render() writes is JSON as well: texts with \" \\ and \u00XX, lists, numbers, true and false.
std::string show_json(const Loaded& loaded) {
  std::string out = "{";
  std::string_view section;
  const char* comma = "";
  for (const Setting& setting : settings()) {
    const std::size_t dot = setting.key.find('.');
    const std::string_view its = dot == std::string_view::npos ? "" : setting.key.substr(0, dot);
    const std::string_view name = dot == std::string_view::npos ? setting.key : setting.key.substr(dot + 1);
    if (its != section) {
      out += section.empty() ? "" : "}";
      out += std::string(comma) + '"' + std::string(its) + "\":{";
      comma = "";
      section = its;
    }
    out += std::string(comma) + '"' + std::string(name) + "\":" + render(loaded.config, setting);
    comma = ",";
  }
  return out + (section.empty() ? "}" : "}}");
}

}  // namespace lmsb::config
