#include "guest/sudo_message.h"

#include <algorithm>
#include <cstring>

namespace lmsb::guest {
namespace {

using guest_protocol::kMaxSudoStrings;
using guest_protocol::SudoRequest;

// Returns how many, or kMaxSudoStrings + 1 when they are too many or too long.
std::uint32_t append(char* const* strings, SudoBuffer& buffer, std::size_t& size) {
  std::uint32_t count = 0;
  for (; *strings != nullptr; ++strings) {
    const std::size_t length = std::strlen(*strings) + 1;
    if (++count > kMaxSudoStrings || length > buffer.size() - size) return kMaxSudoStrings + 1;
    std::memcpy(buffer.data() + size, *strings, length);
    size += length;
  }
  return count;
}

bool take(std::span<char>& text, std::uint32_t count, std::array<char*, kMaxSudoStrings + 1>& list) {
  if (count > kMaxSudoStrings) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto end = std::find(text.begin(), text.end(), '\0');
    if (end == text.end()) return false;
    list[i] = text.data();
    text = text.subspan(static_cast<std::size_t>(end - text.begin()) + 1);
  }
  list[count] = nullptr;
  return true;
}

}  // namespace

bool may_be_sent(int signal) {
  if (signal == SIGSTOP || signal == SIGCONT) return true;
  return signal != SIGTSTP && std::find(kPassedSignals.begin(), kPassedSignals.end(), signal) != kPassedSignals.end();
}

std::size_t write_request(char* const* arguments, char* const* variables, std::uint32_t umask, SudoBuffer& buffer) {
  std::size_t size = sizeof(SudoRequest);
  const std::uint32_t argc = append(arguments, buffer, size);
  const std::uint32_t envc = argc > kMaxSudoStrings ? argc : append(variables, buffer, size);
  if (envc > kMaxSudoStrings) return 0;
  const SudoRequest header{guest_protocol::kVersion, umask, argc, envc,
                           static_cast<std::uint32_t>(size - sizeof(SudoRequest))};
  std::memcpy(buffer.data(), &header, sizeof header);
  return size;
}

bool read_request(std::span<char> message, SudoCall& call) {
  SudoRequest header{};
  if (message.size() < sizeof header) return false;
  std::memcpy(&header, message.data(), sizeof header);
  std::span<char> body = message.subspan(sizeof header);
  if (header.version != guest_protocol::kVersion || header.body_size != body.size()) return false;
  call.umask = header.umask;
  return take(body, header.argc, call.arguments) && take(body, header.envc, call.variables) && body.empty();
}

}  // namespace lmsb::guest
