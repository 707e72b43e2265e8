#pragma once
// For tests of connections that are given away: a language of its own.
#include <functional>
#include <string>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "http/upgrade.h"
#include "io/stream.h"

namespace lmsb::http {

// What it hears, in brackets; at "q" it says "bye" and ends.
class Bracketing final : public Upgrade {
 public:
  // `cut_off` is called when reading ends by an Error.
  explicit Bracketing(std::function<void()> cut_off = [] {}) : cut_off_(std::move(cut_off)) {}

  io::Always<void> run(TakenOver taken) override {
    const auto loop = co_await boost::asio::this_coro::executor;
    io::FdStream stream(loop, std::move(taken.socket));
    Status said = co_await stream.write_all(taken.head + "[" + taken.read_ahead + "]");
    std::string heard(100, '\0');
    while (said.ok()) {
      const Result<std::size_t> count = co_await stream.read_some(heard.data(), heard.size());
      if (!count.ok()) cut_off_();
      if (!count.ok() || *count == 0) break;
      const bool is_last = heard[0] == 'q';
      const std::string answer = is_last ? "bye" : "[" + heard.substr(0, *count) + "]";
      said = co_await stream.write_all(answer);
      if (is_last) break;
    }
  }

 private:
  std::function<void()> cut_off_;
};

}  // namespace lmsb::http
