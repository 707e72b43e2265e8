#include "cdi/spec.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/rel_path.h"
#include "base/text.h"
#include "cdi/document.h"
#include "cdi/hook.h"

namespace lmsb::cdi {
namespace {

Error fault(const std::string& what) { return {ErrorCode::invalid_argument, what}; }

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// A name as the CDI has them: letters and digits, between them some of `others`.
bool is_name(std::string_view text, std::string_view others) {
  if (text.empty() || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_alphanumeric(c) || others.find(c) != std::string_view::npos; });
}

bool is_kind(std::string_view kind) {
  const std::size_t slash = kind.find('/');
  return slash != std::string_view::npos && is_name(kind.substr(0, slash), "_-.") &&
         is_name(kind.substr(slash + 1), "_-");
}

// Versions that differ only by what is added: what is new in a later one is found as a key that we do not know.
bool is_known_version(std::string_view version) {
  constexpr std::array<std::string_view, 8> kKnown = {"0.3.0", "0.4.0", "0.5.0", "0.6.0",
                                                      "0.7.0", "0.8.0", "1.0.0", "1.1.0"};
  return std::find(kKnown.begin(), kKnown.end(), version) != kKnown.end();
}

// Of a list; null or absent is one without items.
Result<const std::vector<Node>*> list_of(const Node& map, const char* key) {
  static const std::vector<Node> kNone;
  const Node* node = map.find(key);
  if (node == nullptr || node->is_empty()) return &kNone;
  if (node->kind != Node::Kind::list) return fault(std::string(key) + " is no list");
  if (node->items.size() > kMaxEdits) return fault(std::string(key) + " has more than 1024 items");
  return &node->items;
}

Result<std::string> text_of(const Node& map, const char* key) {
  const Node* node = map.find(key);
  if (node == nullptr) return std::string();
  if (node->kind != Node::Kind::text) return fault(std::string(key) + " is no text");
  if (has_control(node->text)) return fault(std::string(key) + " has control characters");
  return node->text;
}

Result<std::string> path_of(const Node& map, const char* key, const std::string& otherwise) {
  LMSB_TRY(std::string path, text_of(map, key));
  if (path.empty()) path = otherwise;
  if (!is_clean_path(path)) return fault(std::string(key) + " " + quoted(path) + " is not a plain absolute path");
  return path;
}

Status known_keys(const Node& map, std::initializer_list<std::string_view> keys, const char* what) {
  if (map.kind != Node::Kind::map) return fault(std::string(what) + " is no map");
  for (const Member& member : map.members)
    if (std::find(keys.begin(), keys.end(), member.key) == keys.end())
      return fault(std::string(what) + " has " + quoted(member.key) + ", which is not known here");
  return {};
}

Result<std::optional<unsigned>> number_of(const Node& map, const char* key) {
  LMSB_TRY(const std::string text, text_of(map, key));
  if (text.empty()) return std::optional<unsigned>();
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  constexpr unsigned kMost = (1U << 20U) - 1;
  if (error != std::errc() || end != text.data() + text.size() || value > kMost)
    return fault(std::string(key) + " " + quoted(text) + " is no device number");
  return std::optional<unsigned>(value);
}

Result<DeviceNode> node_of(const Node& map) {
  LMSB_CHECK(known_keys(map, {"path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid"},
                        "a device node"));
  DeviceNode node;
  LMSB_TRY(node.path, path_of(map, "path", ""));
  LMSB_TRY(node.host_path, path_of(map, "hostPath", node.path));
  if (!node.path.starts_with("/dev/")) return fault("device node " + quoted(node.path) + " is not below /dev");
  LMSB_TRY(const std::string type, text_of(map, "type"));
  if (!type.empty() && type != "c" && type != "u" && type != "b")
    return fault("device node " + quoted(node.path) + " is of type " + quoted(type));
  node.is_block = type == "b";
  LMSB_TRY(const std::optional<unsigned> major, number_of(map, "major"));
  LMSB_TRY(const std::optional<unsigned> minor, number_of(map, "minor"));
  if (major && *major != 0) node.number = Number{*major, minor.value_or(0)};
  return node;
}

Result<Mount> mount_of(const Node& map) {
  LMSB_CHECK(known_keys(map, {"hostPath", "containerPath", "options", "type"}, "a mount"));
  Mount mount;
  LMSB_TRY(mount.host_path, path_of(map, "hostPath", ""));
  LMSB_TRY(mount.path, path_of(map, "containerPath", ""));
  LMSB_TRY(const std::string type, text_of(map, "type"));
  if (!type.empty() && type != "bind" && type != "none")
    return fault("mount " + quoted(mount.path) + " is of type " + quoted(type));
  return mount;
}

Result<std::string> variable_of(const Node& node) {
  const std::size_t equals = node.text.find('=');
  const std::string_view name = std::string_view(node.text).substr(0, equals);
  const bool is_variable = node.kind == Node::Kind::text && equals != std::string::npos && is_name(name, "_");
  if (!is_variable && !(equals != std::string::npos && name.starts_with('_')))
    return fault("env " + quoted(node.text) + " is not NAME=value");
  if (has_control(node.text)) return fault("env " + quoted(name) + " has control characters");
  return node.text;
}

Status take_hook(const Node& map, Edits& edits) {
  LMSB_CHECK(known_keys(map, {"hookName", "path", "args", "env", "timeout"}, "a hook"));
  Hook hook;
  LMSB_TRY(hook.when, text_of(map, "hookName"));
  LMSB_TRY(hook.program, text_of(map, "path"));
  LMSB_TRY(const std::vector<Node>* const arguments, list_of(map, "args"));
  for (const Node& argument : *arguments) {
    if (argument.kind != Node::Kind::text || has_control(argument.text))
      return fault("args of a hook are no plain text");
    hook.arguments.push_back(argument.text);
  }
  return carry_out(hook, edits);
}

// Keys of which the sandbox has no need: nodes are made so that commands may open them.
Result<Edits> edits_of(const Node& map) {
  Edits edits;
  LMSB_CHECK(known_keys(map, {"env", "deviceNodes", "mounts", "hooks", "additionalGids", "intelRdt", "netDevices"},
                        "containerEdits"));
  for (const char* key : {"intelRdt", "netDevices"})
    if (const Node* node = map.find(key); node != nullptr && !node->is_empty())
      edits.fault = std::string(key) + " is not something that a sandbox can have";
  LMSB_TRY(const std::vector<Node>* const variables, list_of(map, "env"));
  for (const Node& node : *variables) {
    LMSB_TRY(std::string variable, variable_of(node));
    edits.environment.push_back(std::move(variable));
  }
  LMSB_TRY(const std::vector<Node>* const nodes, list_of(map, "deviceNodes"));
  for (const Node& node : *nodes) {
    LMSB_TRY(DeviceNode device, node_of(node));
    edits.nodes.push_back(std::move(device));
  }
  LMSB_TRY(const std::vector<Node>* const mounts, list_of(map, "mounts"));
  for (const Node& node : *mounts) {
    LMSB_TRY(Mount mount, mount_of(node));
    edits.mounts.push_back(std::move(mount));
  }
  LMSB_TRY(const std::vector<Node>* const hooks, list_of(map, "hooks"));
  for (const Node& hook : *hooks) LMSB_CHECK(take_hook(hook, edits));
  return edits;
}

// What is wrong with the edits of one device makes that one unusable, and no other.
Edits edits_or_fault(const Node* map) {
  if (map == nullptr || map->is_empty()) return {};
  auto edits = edits_of(*map);
  if (edits.ok()) return *std::move(edits);
  Edits unusable;
  unusable.fault = edits.error().message();
  return unusable;
}

Result<Device> device_of(const Node& map, const std::string& kind) {
  LMSB_CHECK(known_keys(map, {"name", "annotations", "containerEdits"}, "a device"));
  Device device;
  LMSB_TRY(device.name, text_of(map, "name"));
  if (!is_name(device.name, "_-.:") || kind.size() + 1 + device.name.size() > kMaxNameOctets)
    return fault("device name " + quoted(device.name) + " is not one of letters, digits and _-.:");
  device.edits = edits_or_fault(map.find("containerEdits"));
  return device;
}

}  // namespace

bool is_clean_path(std::string_view path) {
  return path.size() > 1 && path.size() <= kMaxPathOctets && path[0] == '/' && !has_control(path) &&
         RelPath::parse(path.substr(1)) && path.find("//") == std::string_view::npos && path.back() != '/';
}

Result<Spec> read_spec(std::string_view text) {
  LMSB_TRY(const Node root, parse_document(text));
  LMSB_CHECK(known_keys(root, {"cdiVersion", "kind", "annotations", "devices", "containerEdits"}, "the file"));
  Spec spec;
  LMSB_TRY(const std::string version, text_of(root, "cdiVersion"));
  if (!is_known_version(version)) return fault("cdiVersion " + quoted(version) + " is not one that is known here");
  LMSB_TRY(spec.kind, text_of(root, "kind"));
  if (!is_kind(spec.kind)) return fault("kind " + quoted(spec.kind) + " is not vendor.com/class");
  spec.edits = edits_or_fault(root.find("containerEdits"));
  LMSB_TRY(const std::vector<Node>* const devices, list_of(root, "devices"));
  if (devices->size() > kMaxDevices) return fault("more than 256 devices");
  for (const Node& node : *devices) {
    LMSB_TRY(Device device, device_of(node, spec.kind));
    const auto is_same = [&](const Device& other) { return other.name == device.name; };
    if (std::any_of(spec.devices.begin(), spec.devices.end(), is_same))
      return fault("device " + quoted(device.name) + " is there twice");
    spec.devices.push_back(std::move(device));
  }
  return spec;
}

}  // namespace lmsb::cdi
