#include "server/web_sockets.h"

#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

class Silent final : public http::WebSocketSession {
 public:
  io::Always<void> run(http::WebSocket) override { co_return; }
};

Call call_with(std::map<std::string, std::string> headers) {
  Call call;
  call.request = local_request("GET", "/v1/x");
  for (auto& [name, value] : headers) call.request.headers.set(name, value);
  return call;
}

TEST(WebSockets, TakeTheConnectionOver) {
  const Call call = call_with({{"Connection", "Upgrade"},
                               {"Upgrade", "websocket"},
                               {"Sec-WebSocket-Version", "13"},
                               {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}});
  const http::Response response = open_web_socket(call, std::make_shared<Silent>());
  EXPECT_EQ(response.status, 101);
  EXPECT_NE(response.upgrade, nullptr);
}

TEST(WebSockets, SayWhatIsSpokenHere) {
  const http::Response response = open_web_socket(call_with({}), std::make_shared<Silent>());
  EXPECT_EQ(response.status, 426);
  EXPECT_EQ(response.upgrade, nullptr);
  EXPECT_EQ(response.headers.find("Upgrade"), "websocket");
  EXPECT_EQ(response.headers.find("Sec-WebSocket-Version"), "13");
  EXPECT_NE(response.body.find("\"upgrade_required\""), std::string::npos) << response.body;
}

TEST(WebSockets, RefuseAMalformedKey) {
  const Call call = call_with({{"Connection", "Upgrade"},
                               {"Upgrade", "websocket"},
                               {"Sec-WebSocket-Version", "13"},
                               {"Sec-WebSocket-Key", "short"}});
  const http::Response response = open_web_socket(call, std::make_shared<Silent>());
  EXPECT_EQ(response.status, 400);
  EXPECT_FALSE(response.headers.find("Upgrade"));
}

}  // namespace
}  // namespace lmsb::server
