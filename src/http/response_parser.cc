#include <algorithm>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "http/parser.h"

namespace lmsb::http {
namespace beast = boost::beast::http;
using ErrorCodeOf = boost::beast::error_code;

namespace {

constexpr std::size_t kReserveAtOnce = std::size_t{1} << 20U;
constexpr unsigned kMaxInterims = 16;  // one server's "Processing" every now and then, not an endless answer

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

struct ResponseParser::Impl {
  class Reader final : public beast::basic_parser<false> {
   public:
    explicit Reader(Impl& impl) : impl_(impl) {
      header_limit(static_cast<std::uint32_t>(impl.limits.header.count()));
      body_limit(impl.limits.body.count());
      eager(true);
      skip(impl.bodyless);
    }

   private:
    void on_response_impl(int code, boost::beast::string_view, int, ErrorCodeOf&) override {
      impl_.response.status = code;
    }
    void on_field_impl(beast::field name, boost::beast::string_view text, boost::beast::string_view value,
                       ErrorCodeOf& error) override {
      impl_.take_field(name, view(text), view(value), error);
    }
    void on_header_impl(ErrorCodeOf&) override { impl_.header_done = true; }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, ErrorCodeOf&) override {
      if (length) impl_.response.body.reserve(std::min<std::size_t>(*length, kReserveAtOnce));
    }
    std::size_t on_body_impl(boost::beast::string_view body, ErrorCodeOf&) override {
      impl_.response.body.append(body.data(), body.size());
      return body.size();
    }
    std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view body, ErrorCodeOf&) override {
      impl_.response.body.append(body.data(), body.size());
      return body.size();
    }
    void on_request_impl(beast::verb, boost::beast::string_view, boost::beast::string_view, int,
                         ErrorCodeOf&) override {}
    void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, ErrorCodeOf&) override {}
    void on_finish_impl(ErrorCodeOf&) override {}

    Impl& impl_;
  };

  Impl(ParserLimits l, bool b) : limits(l), bodyless(b) { start(); }

  void start() {
    reader.reset();
    reader.emplace(*this);
    response = Response();
    header_size = 0;
    header_done = false;
  }

  void take_field(beast::field name, std::string_view text, std::string_view value, ErrorCodeOf& stop) {
    header_size += text.size() + value.size() + 4;
    if (header_size > limits.header.count() || response.headers.fields().size() >= limits.fields) {
      stop = beast::error::header_limit;
    } else if (name == beast::field::transfer_encoding && !same_name(value, "chunked")) {
      stop = beast::error::bad_transfer_encoding;
    } else if (!header_done) {
      response.headers.add(text, std::string(value));
    }
  }

  void fail(const ErrorCodeOf& why) {
    if (why == beast::error::body_limit) {
      error.emplace(ErrorCode::resource_exhausted, "the answer is larger than " + format_bytes(limits.body));
    } else if (why == beast::error::partial_message) {
      error.emplace(ErrorCode::unavailable, "the connection ended in the middle of the answer");
    } else {
      error = Error(ErrorCode::invalid_argument, "the answer is not HTTP").with_cause(why.message());
    }
  }

  // 101 is the last that is said by HTTP on that connection.
  bool is_interim() const { return reader->is_done() && response.status / 100 == 1 && response.status != 101; }

  void pass_over() {
    interim_size += header_size;
    if (++interims > kMaxInterims || interim_size > limits.header.count()) {
      error.emplace(ErrorCode::invalid_argument, "the answer is not HTTP: too many interim answers come before it");
    } else {
      start();
    }
  }

  ParserLimits limits;
  bool bodyless;
  unsigned interims = 0;
  std::size_t interim_size = 0;
  std::optional<Reader> reader;
  Response response;
  std::size_t header_size = 0;
  bool header_done = false;
  std::optional<Error> error;
};

ResponseParser::ResponseParser(ParserLimits limits, bool bodyless) : impl_(std::make_unique<Impl>(limits, bodyless)) {}
ResponseParser::~ResponseParser() = default;

std::size_t ResponseParser::feed(std::string_view input) {
  std::size_t used = 0;
  while (used < input.size() && stage() != Stage::complete && stage() != Stage::failed) {
    ErrorCodeOf error;
    used += impl_->reader->put(boost::asio::buffer(input.data() + used, input.size() - used), error);
    if (error == beast::error::need_more) break;
    if (error) impl_->fail(error);
    if (!error && impl_->is_interim()) impl_->pass_over();
  }
  return used;
}

void ResponseParser::feed_end() {
  if (stage() == Stage::complete || stage() == Stage::failed) return;
  ErrorCodeOf error = beast::error::partial_message;
  if (impl_->reader->got_some()) impl_->reader->put_eof(error);
  if (error) impl_->fail(error);
}

Stage ResponseParser::stage() const {
  if (impl_->error) return Stage::failed;
  if (!impl_->reader->got_some()) return Stage::idle;
  if (impl_->reader->is_done()) return Stage::complete;
  return impl_->header_done ? Stage::body : Stage::header;
}

const Error& ResponseParser::error() const { return *impl_->error; }
Response& ResponseParser::response() { return impl_->response; }

}  // namespace lmsb::http
