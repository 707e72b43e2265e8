#include "sandbox/device_table.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <unistd.h>

#include "base/rel_path.h"
#include "os/small_file.h"

namespace lmsb::sandbox {
namespace {

using Words = std::vector<std::string>;

template <typename Item>
std::uint32_t place_in(std::vector<Item>& items, const Item& item) {
  const auto found = std::find(items.begin(), items.end(), item);
  const auto place = static_cast<std::uint32_t>(found - items.begin());
  if (found == items.end()) items.push_back(item);
  return place;
}

void add_line(std::string& text, std::initializer_list<std::string> words) {
  std::string separator;
  for (const std::string& word : words) text += std::exchange(separator, "\t") + word;
  text += '\n';
}

void add_places(std::string& text, const char* kind, const std::vector<std::uint32_t>& places) {
  for (const std::uint32_t place : places) add_line(text, {kind, std::to_string(place)});
}

Words split(std::string_view line) {
  Words words;
  for (std::size_t at = 0; at != std::string_view::npos;) {
    const std::size_t tab = line.find('\t', at);
    words.emplace_back(line.substr(at, tab == std::string_view::npos ? tab : tab - at));
    at = tab == std::string_view::npos ? tab : tab + 1;
  }
  return words;
}

bool read_number(const std::string& text, std::uint32_t& value) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && at == end && (text == "0" || text[0] != '0');
}

bool is_path(const std::string& path) { return path.size() < 256 && RelPath::parse(path); }
bool is_host_path(const std::string& path) { return path.starts_with('/') && is_path(path.substr(1)); }

class Parser {
 public:
  // False: the line is none of ours.
  bool take(const Words& words) {
    const std::string& kind = words[0];
    if (kind == "node") return take_node(words);
    if (kind == "file" && words.size() == 3 && is_path(words[1]) && is_host_path(words[2]))
      return add(table_.files, TableFile{words[1], words[2]});
    if (kind == "link" && words.size() == 3 && is_path(words[1]) && !words[2].empty() && words[2].size() < 256)
      return add(table_.links, TableLink{words[1], words[2]});
    if (kind == "device" && words.size() == 3 && !words[1].empty() && words[1].size() < 128 &&
        table_.devices.size() < kMaxTableDevices) {
      table_.devices.push_back({words[1], words[2], {}, {}, {}, {}});
      return true;
    }
    if (kind == "fault" && words.size() == 2 && table_.faults.size() < kMaxTableItems) {
      table_.faults.push_back(words[1]);
      return true;
    }
    return !table_.devices.empty() && words.size() == 2 && take_need(kind, words[1], table_.devices.back());
  }
  DeviceTable take_table() { return std::move(table_); }

 private:
  template <typename Item>
  bool add(std::vector<Item>& items, Item item) {
    if (!table_.devices.empty() || items.size() >= kMaxTableItems) return false;  // lists come first
    items.push_back(std::move(item));
    return true;
  }

  bool take_node(const Words& words) {
    if (words.size() != 6 || !is_path(words[1]) || !is_host_path(words[2]) || (words[3] != "b" && words[3] != "c"))
      return false;
    TableNode node{words[1], words[2], words[3] == "b", 0, 0};
    return read_number(words[4], node.major) && read_number(words[5], node.minor) && add(table_.nodes, std::move(node));
  }

  bool take_need(const std::string& kind, const std::string& value, TableDevice& device) {
    if (kind == "env") {
      if (device.environment.size() >= kMaxTableItems || value.find('=') == std::string::npos) return false;
      device.environment.push_back(value);
      return true;
    }
    std::uint32_t place = 0;
    if (!read_number(value, place)) return false;
    if (kind == "needs-node") return need(device.nodes, place, table_.nodes.size());
    if (kind == "needs-file") return need(device.files, place, table_.files.size());
    return kind == "needs-link" && need(device.links, place, table_.links.size());
  }

  static bool need(std::vector<std::uint32_t>& places, std::uint32_t place, std::size_t size) {
    if (place >= size || places.size() >= kMaxTableItems) return false;
    places.push_back(place);
    return true;
  }

  DeviceTable table_;
};

}  // namespace

std::uint32_t DeviceTable::place_of(const TableNode& node) { return place_in(nodes, node); }
std::uint32_t DeviceTable::place_of(const TableFile& file) { return place_in(files, file); }
std::uint32_t DeviceTable::place_of(const TableLink& link) { return place_in(links, link); }

std::string format_table(const DeviceTable& table) {
  std::string text;
  for (const TableNode& n : table.nodes)
    add_line(text,
             {"node", n.name, n.host_path, n.is_block ? "b" : "c", std::to_string(n.major), std::to_string(n.minor)});
  for (const TableFile& f : table.files) add_line(text, {"file", f.path, f.host_path});
  for (const TableLink& l : table.links) add_line(text, {"link", l.path, l.target});
  for (const TableDevice& device : table.devices) {
    add_line(text, {"device", device.name, device.fault});
    for (const std::string& variable : device.environment) add_line(text, {"env", variable});
    add_places(text, "needs-node", device.nodes);
    add_places(text, "needs-file", device.files);
    add_places(text, "needs-link", device.links);
  }
  for (const std::string& fault : table.faults) add_line(text, {"fault", fault});
  return text;
}

Result<DeviceTable> parse_table(std::string_view text) {
  const auto bad = [](std::size_t line) {
    return Error(ErrorCode::invalid_argument, "line " + std::to_string(line) + " of the table of devices");
  };
  if (text.size() > kMaxTableText.count()) return bad(0);
  Parser parser;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = text.find('\n');
    const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; };
    const std::string_view one = text.substr(0, end);
    if (end == std::string_view::npos || std::any_of(one.begin(), one.end(), is_control)) return bad(line);
    if (!parser.take(split(one))) return bad(line);
    text.remove_prefix(end + 1);
  }
  return parser.take_table();
}

Result<DeviceTable> read_table(int fd) {
  if (fd < 0) return DeviceTable();
  if (::lseek(fd, 0, SEEK_SET) < 0) return Error::from_errno(errno, "go to the start of the table of devices");
  LMSB_TRY(const std::string text, os::read_to_end(fd, kMaxTableText, "the table of devices"));
  return parse_table(text);
}

}  // namespace lmsb::sandbox
