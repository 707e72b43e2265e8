#include "model/gguf.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <span>
#include <sys/stat.h>
#include <utility>

#include "base/text.h"
#include "base/unique_fd.h"
#include "model/gguf_cursor.h"
#include "model/gguf_tensors.h"

namespace lmsb::model {
namespace {

constexpr std::uint64_t kMaxPairs = 65'536;
constexpr std::uint64_t kLeastTensor = 32;  // octets that one has in a header at least
constexpr std::uint64_t kMaxText = 256;     // of texts that are kept
constexpr std::uint64_t kMaxTemplate = 64 * 1024;
constexpr std::uint64_t kMaxLayers = 4096;
constexpr std::uint64_t kMaxAlignment = 1U << 20U;

using Numbers = std::vector<std::uint64_t>;

struct NumberKey {
  std::string_view key;
  std::uint32_t GgufFacts::*fact;
  std::uint64_t max;  // nothing that exists comes near it
};
constexpr std::array<NumberKey, 2> kFileNumbers = {
    {{"split.no", &GgufFacts::part, 99'999}, {"split.count", &GgufFacts::parts, 99'999}}};
// Behind the architecture's name: "llama.context_length".
constexpr std::array<NumberKey, 16> kModelNumbers = {{
    {"context_length", &GgufFacts::context, 1U << 30U},
    {"vocab_size", &GgufFacts::vocabulary, 1U << 24U},
    {"embedding_length", &GgufFacts::width, 1U << 20U},
    {"feed_forward_length", &GgufFacts::forward, 1U << 24U},
    {"attention.key_length", &GgufFacts::key_length, 1U << 16U},
    {"attention.value_length", &GgufFacts::value_length, 1U << 16U},
    {"attention.key_length_swa", &GgufFacts::window_key_length, 1U << 16U},
    {"attention.value_length_swa", &GgufFacts::window_value_length, 1U << 16U},
    {"attention.sliding_window", &GgufFacts::window, 1U << 30U},
    {"expert_count", &GgufFacts::experts, 1U << 16U},
    {"expert_used_count", &GgufFacts::experts_used, 1U << 16U},
    {"expert_feed_forward_length", &GgufFacts::expert_forward, 1U << 24U},
    {"ssm.conv_kernel", &GgufFacts::state_convolution, 1U << 16U},
    {"ssm.inner_size", &GgufFacts::state_width, 1U << 20U},
    {"ssm.state_size", &GgufFacts::state_length, 1U << 16U},
    {"ssm.group_count", &GgufFacts::state_groups, 1U << 16U},
}};
constexpr std::uint64_t kMaxHeads = 1U << 16U;

struct TextKey {
  std::string_view key;
  std::string GgufFacts::*fact;
};
constexpr std::array<TextKey, 5> kTexts = {{{"general.architecture", &GgufFacts::architecture},
                                            {"general.name", &GgufFacts::name},
                                            {"general.size_label", &GgufFacts::size_label},
                                            {"general.license", &GgufFacts::license},
                                            {"tokenizer.ggml.model", &GgufFacts::tokenizer}}};

// Which layers look back through a window only, where the file has not its pattern: of so many layers all but the last.
struct Period {
  std::string_view architecture;
  std::uint64_t layers;
};
constexpr std::array<Period, 5> kPeriods = {
    {{"gemma2", 2}, {"gemma3", 6}, {"gemma3n", 5}, {"cohere2", 4}, {"gpt-oss", 2}}};

std::string without_controls(std::string_view octets) {
  const std::string text = to_utf8(octets);
  std::string kept;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t control = control_size(text, i);
    if (control == 0) kept += text[i];
    i += std::max<std::size_t>(control, 1);
  }
  return kept;
}

// Lists are of heads, or say of each layer whether it has something.
bool is_possible(const Numbers& list) {
  return std::all_of(list.begin(), list.end(), [](std::uint64_t number) { return number <= kMaxHeads; });
}

FileKind kind_of(const std::string& type, const std::string& architecture) {
  if (type == "mmproj" || architecture == "clip") return FileKind::projector;
  if (type == "adapter") return FileKind::adapter;
  return type.empty() || type == "model" ? FileKind::model : FileKind::other;
}

// Reads one file. What it says is in facts(), and why that is nothing in fault().
class Reader {
 public:
  Reader(int file, std::uint64_t size) : file_(file), cursor_(file, size) { facts_.size = Bytes(size); }

  bool read() {
    return read_start(cursor_) && find_architecture() && read_pairs() && read_tensors() && resolve_layers();
  }
  GgufFacts& facts() { return facts_; }
  const std::string& fault() const { return fault_; }
  int error() const { return cursor_.error(); }

 private:
  bool refuse(std::string why) {
    if (fault_.empty()) fault_ = std::move(why);
    return false;
  }
  bool is_damaged() {
    const char* what = cursor_.at() + 8 < kMaxGgufHeader ? "damaged or cut off" : "damaged, or longer than 64 MiB";
    return refuse("its header is " + std::string(what) + " (at octet " + std::to_string(cursor_.at()) + ")");
  }
  bool is_no_number(const std::string& key) { return refuse("no model has such a number for " + quoted(key)); }

  bool read_start(GgufCursor& cursor);
  // It stands before the names of most numbers.
  bool find_architecture();
  bool read_pairs();
  bool read_pair();
  bool read_text(const std::string& key);
  bool read_number(const std::string& key, GgufType type);
  bool take_number(const std::string& key, std::uint64_t value);
  bool take_fact(std::span<const NumberKey> table, std::string_view name, const std::string& key, std::uint64_t value);
  std::string_view name_in_model(const std::string& key) const;
  bool read_array(const std::string& key);
  bool read_numbers(GgufType type, std::uint64_t count, Numbers& out);
  Numbers* list_of(std::string_view name);
  bool read_tensors();
  bool resolve_layers();
  bool is_windowed(std::uint64_t layer) const;

  int file_;
  GgufCursor cursor_;
  GgufFacts facts_;
  std::string fault_;
  std::string prefix_;  // "llama."
  std::uint64_t pairs_ = 0;
  std::string type_;  // of the file
  std::uint64_t alignment_ = 32;
  std::optional<std::uint32_t> file_type_;
  std::uint64_t layers_ = 0;
  Numbers heads_;  // one for all layers, or one a layer
  Numbers kv_heads_;
  Numbers pattern_;  // one: a period; several: whether each layer has a window
};

bool Reader::read_start(GgufCursor& cursor) {
  std::array<char, 4> magic{};
  if (!cursor.read(magic) || std::memcmp(magic.data(), "GGUF", 4) != 0) return refuse("it does not begin with GGUF");
  if (!cursor.read(facts_.version) || facts_.version < 2 || facts_.version > 3)
    return refuse("unknown version, or of a machine with another order of octets");
  if (!cursor.read(facts_.tensors) || !cursor.read(pairs_)) return is_damaged();
  if (pairs_ > kMaxPairs || facts_.tensors > kMaxGgufHeader / kLeastTensor) return is_damaged();
  return true;
}

bool Reader::find_architecture() {
  GgufCursor cursor(file_, facts_.size.count());
  if (!read_start(cursor)) return false;
  std::string key;
  for (std::uint64_t i = 0; i < pairs_; ++i) {
    GgufType type{};
    if (!cursor.text(key, kMaxText) || !cursor.read(type)) return true;  // read_pairs() says so
    if (key == "general.architecture" && type == GgufType::string) {
      if (cursor.text(prefix_, kMaxText)) prefix_ += ".";
      return true;
    }
    if (!cursor.skip_value(type)) return true;
  }
  return true;
}

bool Reader::read_pairs() {
  for (std::uint64_t i = 0; i < pairs_; ++i)
    if (!read_pair()) return is_damaged();
  return true;
}

bool Reader::read_pair() {
  std::string key;
  GgufType type{};
  if (!cursor_.text(key, kMaxText) || !cursor_.read(type)) return false;
  if (type == GgufType::string) return read_text(key);
  return type == GgufType::array ? read_array(key) : read_number(key, type);
}

bool Reader::read_text(const std::string& key) {
  std::string value;
  const bool is_template = key == "tokenizer.chat_template";
  if (!cursor_.text(value, is_template ? kMaxTemplate : kMaxText)) return false;
  if (is_template) {
    facts_.has_chat_template = true;
    facts_.chat_template = to_utf8(value);
  }
  if (key == "general.type") type_ = value;
  for (const TextKey& text : kTexts)
    if (key == text.key) facts_.*text.fact = without_controls(value);
  return true;
}

bool Reader::read_number(const std::string& key, GgufType type) {
  std::optional<std::uint64_t> value;
  if (!cursor_.whole_number(type, value)) return false;
  return !value || take_number(key, *value);
}

bool Reader::take_number(const std::string& key, std::uint64_t value) {
  if (key == "general.file_type") file_type_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
  if (key == "general.alignment") {
    const bool is_power = value > 0 && (value & (value - 1)) == 0;
    if (!is_power || value > kMaxAlignment) return is_no_number(key);
    alignment_ = value;
  }
  if (!take_fact(kFileNumbers, key, key, value)) return false;
  const std::string_view name = name_in_model(key);
  if (name == "block_count") {
    if (value > kMaxLayers) return is_no_number(key);
    layers_ = value;
  }
  if (Numbers* const list = list_of(name)) {
    list->assign(1, value);
    if (!is_possible(*list)) return is_no_number(key);
  }
  return take_fact(kModelNumbers, name, key, value);
}

bool Reader::take_fact(std::span<const NumberKey> table, std::string_view name, const std::string& key,
                       std::uint64_t value) {
  for (const NumberKey& number : table) {
    if (name != number.key) continue;
    if (value > number.max) return is_no_number(key);
    facts_.*number.fact = static_cast<std::uint32_t>(value);
  }
  return true;
}

// "block_count" of "llama.block_count"; "" for what is not the architecture's.
std::string_view Reader::name_in_model(const std::string& key) const {
  const bool is_of_model = !prefix_.empty() && key.starts_with(prefix_);
  return is_of_model ? std::string_view(key).substr(prefix_.size()) : std::string_view();
}

// What may be one number or a list of one for each layer.
Numbers* Reader::list_of(std::string_view name) {
  if (name == "attention.head_count") return &heads_;
  if (name == "attention.head_count_kv") return &kv_heads_;
  return name == "attention.sliding_window_pattern" ? &pattern_ : nullptr;
}

bool Reader::read_array(const std::string& key) {
  GgufType type{};
  std::uint64_t count = 0;
  if (!cursor_.array(type, count)) return false;
  if (key == "tokenizer.ggml.tokens") {
    if (count > kMaxGgufHeader / 8) return false;
    facts_.vocabulary = static_cast<std::uint32_t>(count);
  }
  const std::string_view name = name_in_model(key);
  Numbers* const list = list_of(name);
  Numbers others;
  if (list == nullptr && name != "feed_forward_length") return cursor_.skip_values(type, count);
  Numbers& numbers = list != nullptr ? *list : others;
  if (size_of(type) == 0 || count > kMaxLayers) return is_no_number(key);
  if (!read_numbers(type, count, numbers)) return false;
  if (list != nullptr) return is_possible(numbers) || is_no_number(key);
  return numbers.empty() || take_number(key, *std::max_element(numbers.begin(), numbers.end()));
}

bool Reader::read_numbers(GgufType type, std::uint64_t count, Numbers& out) {
  out.clear();
  for (std::uint64_t i = 0; i < count; ++i) {
    std::optional<std::uint64_t> value;
    if (!cursor_.whole_number(type, value)) return false;
    out.push_back(value.value_or(0));
  }
  return true;
}

bool Reader::resolve_layers() {
  facts_.kind = kind_of(type_, facts_.architecture);
  // A list that is too short: no layer has more than the largest that it has.
  const auto at = [](const Numbers& numbers, std::uint64_t layer) -> std::uint64_t {
    if (numbers.size() == 1 || numbers.empty()) return numbers.empty() ? 0 : numbers.front();
    return layer < numbers.size() ? numbers[layer] : *std::max_element(numbers.begin(), numbers.end());
  };
  for (std::uint64_t i = 0; i < layers_; ++i) {
    GgufLayer layer;
    layer.heads = static_cast<std::uint32_t>(at(heads_, i));
    layer.kv_heads = kv_heads_.empty() ? layer.heads : static_cast<std::uint32_t>(at(kv_heads_, i));
    layer.is_windowed = is_windowed(i);
    facts_.layers.push_back(layer);
  }
  const std::uint64_t heads = heads_.empty() ? 0 : *std::max_element(heads_.begin(), heads_.end());
  const auto usual = static_cast<std::uint32_t>(heads == 0 ? 0 : facts_.width / heads);
  if (facts_.key_length == 0) facts_.key_length = usual;
  if (facts_.value_length == 0) facts_.value_length = usual;
  return true;
}

bool Reader::is_windowed(std::uint64_t layer) const {
  if (facts_.window == 0) return false;
  if (pattern_.size() > 1) return pattern_[layer % pattern_.size()] != 0;
  const auto* period = std::find_if(kPeriods.begin(), kPeriods.end(),
                                    [this](const Period& each) { return each.architecture == facts_.architecture; });
  if (pattern_.empty() && period == kPeriods.end()) return false;
  const std::uint64_t layers = pattern_.empty() ? period->layers : pattern_.front();
  return layers == 0 || layer % layers < layers - 1;
}

bool Reader::read_tensors() {
  GgufTensors tensors(cursor_, alignment_);
  for (std::uint64_t i = 0; i < facts_.tensors; ++i)
    if (!tensors.read_one()) return tensors.fault().empty() ? is_damaged() : refuse(tensors.fault());
  if (!tensors.fit(facts_.size.count())) return refuse(tensors.fault());
  facts_.parameters = tensors.numbers();
  facts_.weights = tensors.weights(facts_.size.count());
  facts_.quantisation = tensors.quantisation(file_type_);
  return true;
}

Error not_a_model(const std::string& path, const std::string& why) {
  return Error(ErrorCode::invalid_argument, path + " is not a usable GGUF file: " + why)
      .with_slug("not_a_model")
      .with_hint("download it again, or choose another file");
}

}  // namespace

std::string_view to_string(FileKind kind) {
  static constexpr std::array<std::string_view, 4> kNames = {"model", "projector", "adapter", "other"};
  return kNames[static_cast<std::size_t>(kind)];
}

Result<GgufFacts> read_gguf(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) < 0) return Error::from_errno(errno, "open model " + path);
  if (!S_ISREG(info.st_mode)) return not_a_model(path, "it is no regular file");
  Reader reader(file.get(), static_cast<std::uint64_t>(info.st_size));
  const bool is_model = reader.read();
  if (reader.error() != 0) return Error::from_errno(reader.error(), "read model " + path);
  if (!is_model) return not_a_model(path, reader.fault());
  return std::move(reader.facts());
}

}  // namespace lmsb::model
