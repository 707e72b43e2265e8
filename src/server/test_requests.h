#pragma once
// For unit tests of the server: who asks, through which doors, and what they send.
#include <cstdint>
#include <string>
#include <utility>

#include "base/assert.h"
#include "http/message.h"
#include "http/target.h"
#include "server/doors.h"

namespace lmsb::server {

constexpr std::uint32_t kRoot = 0;
constexpr std::uint32_t kMember = 1000;  // of the socket's group
constexpr std::uint32_t kStranger = 2000;

inline DoorPolicy local_policy() {
  DoorPolicy policy;
  policy.own_hosts = {"127.0.0.1"};
  policy.local_access = [](std::uint32_t uid) {
    return uid == kRoot ? LocalAccess::admin : uid == kMember ? LocalAccess::own : LocalAccess::none;
  };
  return policy;
}

// A request as a local client of the socket's group sends it.
inline http::Request local_request(std::string method, std::string path, std::string body = {}) {
  http::Request request;
  request.method = std::move(method);
  auto target = http::parse_target(path);
  LMSB_ASSERT(target.ok());
  request.target = std::move(path);
  request.path = std::move(target->path);
  request.encoded_path = std::move(target->encoded_path);
  request.query = std::move(target->query);
  request.headers.set("Host", "127.0.0.1:8000");
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  request.peer.is_loopback = true;
  request.peer.listener_is_loopback = true;
  request.peer.uid = kMember;
  request.peer.address = "127.0.0.1:4711";
  return request;
}

}  // namespace lmsb::server
