// A request's body: parsed, read field by field, and written again.
#include "base/text.h"
#include "fuzz.h"
#include "json/reader.h"
#include "json/value.h"
#include "json/writer.h"

namespace {

using namespace lmsb::json;

std::optional<Document> parse(std::string_view text) {
  ParseFault fault;
  auto document = Document::parse(text, fault);
  LMSB_ASSERT(document || (fault.position <= text.size() && !fault.message.empty()));
  return document;
}

void write_members(Writer& writer, Value value);

void write(Writer& writer, Value value) {
  switch (value.kind()) {
    case Kind::null: writer.null(); return;
    case Kind::boolean: writer.boolean(*value.boolean()); return;
    case Kind::integer: writer.integer(*value.integer()); return;
    case Kind::number: writer.number(*value.number()); return;
    case Kind::string: writer.string(*value.string()); return;
    case Kind::array:
      writer.begin_array();
      for (const Value& item : value.items()) write(writer, item);
      writer.end_array();
      return;
    case Kind::object: write_members(writer, value); return;
  }
}

void write_members(Writer& writer, Value value) {
  writer.begin_object();
  for (const auto& [name, member] : value.members()) {
    writer.key(name);
    write(writer, member);
  }
  writer.end_object();
}

// As a handler does. Each complaint must be fit to be sent to the client.
void read_fields(Value root) {
  Faults faults;
  ObjectReader reader(root, faults);
  std::string text;
  bool truth = false;
  std::int64_t whole = 0;
  double number = 0;
  std::vector<std::string> list;
  std::map<std::string, std::string> map;
  reader.string("cmd", text, Need::required);
  reader.boolean("b", truth);
  if (reader.integer("i", whole, -5, 5)) LMSB_ASSERT(whole >= -5 && whole <= 5);
  if (reader.number("n", number, 0, 1)) LMSB_ASSERT(number >= 0 && number <= 1);
  reader.strings("l", list);
  reader.string_map("m", map);
  reader.object("limits", [&number](ObjectReader& limits) { limits.number("cpus", number, 0, 1); });
  (void)reader.raw("any");
  reader.refuse_others();
  for (const Fault& fault : faults) {
    (void)format_location(fault.location);
    LMSB_ASSERT(parse(fault.input));
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto document = parse(lmsb::fuzz::text_of(data, size));
  if (!document) return 0;
  read_fields(document->root());
  Writer writer;
  write(writer, document->root());
  const std::string written = std::move(writer).str();
  LMSB_ASSERT(lmsb::is_utf8(written) && parse(written));
  return 0;
}
