#pragma once
// TerminalSession: one WebSocket on the terminal of a process.
//
// Binary messages are what is typed, and what the terminal shows. Texts are objects: from the client
// {"type":"resize","cols","rows"}; to it {"type":"started","process"} first and {"type":"result",...} last. When
// somebody else takes the terminal, the session ends with code 4001, and with 4004 when the process does not take what
// is typed or its sandbox is gone, 4009 when something is typed while its sandbox is paused; the process goes on (or
// stands still) without a session.
#include <memory>
#include <string>

#include "control/process_service.h"
#include "http/websocket.h"

namespace lmsb::server {

constexpr std::uint16_t kTerminalTaken = 4001;
constexpr std::uint16_t kProcessGone = 4004;
constexpr std::uint16_t kSandboxPaused = 4009;

// `processes` outlives the session. `offset`: how much of what the terminal has shown the client has already.
std::shared_ptr<http::WebSocketSession> make_terminal_session(control::ProcessService& processes,
                                                              control::Principal who, control::TerminalHolder holder,
                                                              std::uint64_t offset);

}  // namespace lmsb::server
