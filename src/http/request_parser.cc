#include <algorithm>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "http/parser.h"
#include "http/target.h"

namespace lmsb::http {
namespace beast = boost::beast::http;
using ErrorCodeOf = boost::beast::error_code;

namespace {

constexpr std::size_t kReserveAtOnce = std::size_t{1} << 20U;  // a body's announced length is only believed so far

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

// What Beast's error means to a client.
Refusal to_refusal(const ErrorCodeOf& error, const ParserLimits& limits, Bytes body_limit) {
  if (error == beast::error::header_limit) {
    return {431, "the request's header is larger than " + format_bytes(limits.header)};
  }
  if (error == beast::error::body_limit) return {413, "the request's body is larger than " + format_bytes(body_limit)};
  if (error == beast::error::bad_version) return {505, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
  return {400, "malformed request: " + error.message()};
}

bool is_printable(std::string_view value) {
  return std::all_of(value.begin(), value.end(),
                     [](char c) { return c == '\t' || (c >= ' ' && c != '\x7f') || c < 0; });
}

}  // namespace

// Looks at the octets of a header as they were sent, however they are cut.
class HeaderScan {
 public:
  // Takes octets that the reader has used; those behind the header are not looked at.
  void take(std::string_view used) {
    for (const char c : used) {
      if (is_over_) return;
      ++size_;
      // A line that goes on in the next one: RFC 9112 section 5.2 lets us refuse it, and programs read it differently.
      if (line_breaks_ == 2 && (c == ' ' || c == '\t')) is_folded_ = true;
      const bool goes_on = c == (line_breaks_ % 2 == 0 ? '\r' : '\n');
      line_breaks_ = goes_on ? line_breaks_ + 1 : c == '\r' ? 1 : 0;
      is_over_ = line_breaks_ == 4;
    }
  }
  std::size_t size() const { return size_; }
  bool is_folded() const { return is_folded_; }

 private:
  std::size_t size_ = 0;
  unsigned line_breaks_ = 0;  // octets of the end "\r\n\r\n" seen last
  bool is_folded_ = false;
  bool is_over_ = false;
};

// Beast calls us as it reads; fields and body go where they stay.
struct RequestParser::Impl {
  class Reader final : public beast::basic_parser<true> {
   public:
    explicit Reader(Impl& impl) : impl_(impl) {
      // Beast counts only what one call gives it, so how much that is would decide: HeaderScan counts all of it.
      header_limit(static_cast<std::uint32_t>(2 * impl.limits.header.count()));
      body_limit(boost::none);  // known when the header is: see on_header_impl()
      eager(true);
    }

   private:
    void on_request_impl(beast::verb, boost::beast::string_view method, boost::beast::string_view target, int version,
                         ErrorCodeOf& error) override {
      impl_.request.method = view(method);
      impl_.request.target = view(target);
      impl_.http10 = version == 10;
      impl_.header_size += method.size() + target.size() + 12;
      if (impl_.header_size > impl_.limits.header.count()) error = beast::error::header_limit;
    }
    void on_field_impl(beast::field name, boost::beast::string_view text, boost::beast::string_view value,
                       ErrorCodeOf& error) override {
      impl_.take_field(name, view(text), view(value), error);
    }
    void on_header_impl(ErrorCodeOf& error) override {
      impl_.check_header(error);
      if (error) return;
      body_limit(impl_.body_limit.count());
      if (content_length().value_or(0) > impl_.body_limit.count()) error = beast::error::body_limit;
    }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, ErrorCodeOf&) override {
      if (length && !impl_.streamed) impl_.request.body.reserve(std::min<std::size_t>(*length, kReserveAtOnce));
    }
    std::size_t on_body_impl(boost::beast::string_view body, ErrorCodeOf&) override {
      impl_.body().append(body.data(), body.size());
      return body.size();
    }
    std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view body, ErrorCodeOf&) override {
      impl_.body().append(body.data(), body.size());
      return body.size();
    }
    void on_response_impl(int, boost::beast::string_view, int, ErrorCodeOf&) override {}
    void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, ErrorCodeOf&) override {}
    void on_finish_impl(ErrorCodeOf&) override {}

    Impl& impl_;
  };

  Impl(ParserLimits l, const StreamedBody* rule) : limits(l), streamed_body(rule) { reset(); }

  void reset() {
    reader.reset();
    reader.emplace(*this);
    request = Request();
    header_size = 0;
    scan = HeaderScan();
    http10 = continue_expected = header_done = streamed = false;
    arrived.clear();
    refusal.reset();
  }

  void refuse(int status, std::string detail, ErrorCodeOf& error) {
    refusal = Refusal{status, std::move(detail)};
    error = beast::error::bad_field;  // any: it stops the reader, and `refusal` says why
  }

  // Judges the header by what it was as octets: those that the reader has used, and while the header is not complete
  // also how many it has not.
  void check_octets(std::string_view used, std::size_t unused) {
    scan.take(used);
    if (refusal) return;
    if (scan.is_folded()) refusal = Refusal{400, "malformed request: a header field that goes on in the next line"};
    if (scan.size() + (header_done ? 0 : unused) > limits.header.count())
      refusal = Refusal{431, "the request's header is larger than " + format_bytes(limits.header)};
  }

  // Trailers count, too.
  void take_field(beast::field name, std::string_view text, std::string_view value, ErrorCodeOf& error) {
    header_size += text.size() + value.size() + 4;
    if (header_size > limits.header.count()) {
      error = beast::error::header_limit;
      return;
    }
    if (header_done) return;  // trailers: nothing here needs them, and they must not pass for header fields
    if (request.headers.fields().size() >= limits.fields) {
      return refuse(431, "the request has more than " + std::to_string(limits.fields) + " header fields", error);
    }
    if (!is_printable(value)) return refuse(400, "malformed request: a control character in a header field", error);
    check_framing(name, value, error);
    if (!error) request.headers.add(text, std::string(value));
  }

  void check_framing(beast::field name, std::string_view value, ErrorCodeOf& error) {
    const bool again = request.headers.count(beast::to_string(name)) > 0;
    if (name == beast::field::content_length && (again || value.find(',') != std::string_view::npos)) {
      return refuse(400, "malformed request: more than one Content-Length", error);
    }
    if (name == beast::field::host && again) return refuse(400, "malformed request: more than one Host", error);
    if (name != beast::field::transfer_encoding) return;
    if (http10) return refuse(400, "malformed request: Transfer-Encoding in HTTP/1.0", error);
    if (!same_name(value, "chunked")) return refuse(501, "the only transfer coding known here is chunked", error);
  }

  void check_header(ErrorCodeOf& error) {
    header_done = true;
    check_target(error);
    if (error) return;
    choose_body();
    const auto expect = request.headers.find("Expect");
    if (!expect || http10) return;
    if (!same_name(*expect, "100-continue")) return refuse(417, "the only expectation met here is 100-continue", error);
    continue_expected = true;
  }

  void check_target(ErrorCodeOf& error) {
    const auto host = request.headers.find("Host");
    if (!host && !http10) return refuse(400, "malformed request: no Host header field", error);
    Result<Target> target = parse_target(request.target);
    if (!target.ok()) return refuse(400, target.error().message(), error);
    if (!target->authority.empty() && host && !same_name(*host, target->authority)) {
      return refuse(400, "malformed request: the target names another host than the Host header field", error);
    }
    request.path = std::move(target->path);
    request.encoded_path = std::move(target->encoded_path);
    request.query = std::move(target->query);
  }

  void choose_body() {
    body_limit = limits.body;
    if (streamed_body == nullptr || !*streamed_body) return;
    const std::optional<Bytes> limit = (*streamed_body)(request);
    streamed = limit.has_value();
    if (limit) body_limit = *limit;
  }

  std::string& body() { return streamed ? arrived : request.body; }

  ParserLimits limits;
  const StreamedBody* streamed_body;
  Bytes body_limit;
  std::string arrived;  // of a body that is streamed
  bool streamed = false;
  std::optional<Reader> reader;
  Request request;
  std::size_t header_size = 0;
  HeaderScan scan;
  bool http10 = false;
  bool continue_expected = false;
  bool header_done = false;
  std::optional<Refusal> refusal;
};

RequestParser::RequestParser(ParserLimits limits, const StreamedBody* streamed)
    : impl_(std::make_unique<Impl>(limits, streamed)) {}
RequestParser::~RequestParser() = default;

void RequestParser::reset() { impl_->reset(); }

std::size_t RequestParser::feed(std::string_view input) {
  std::size_t blank = 0;  // empty lines before a request are passed over (RFC 9112 section 2.2)
  if (!impl_->reader->got_some()) {
    blank = std::min(input.find_first_not_of("\r\n"), input.size());
    input.remove_prefix(blank);
  }
  if (input.empty() || stage() == Stage::complete || stage() == Stage::failed) return blank;
  ErrorCodeOf error;
  const std::size_t used = impl_->reader->put(boost::asio::buffer(input.data(), input.size()), error);
  if (error && error != beast::error::need_more && !impl_->refusal) {
    impl_->refusal = to_refusal(error, impl_->limits, impl_->body_limit);
  }
  impl_->check_octets(input.substr(0, used), input.size() - used);
  return blank + used;
}

Stage RequestParser::stage() const {
  if (impl_->refusal) return Stage::failed;
  if (!impl_->reader->got_some()) return Stage::idle;
  if (impl_->reader->is_done()) return Stage::complete;
  return impl_->header_done ? Stage::body : Stage::header;
}

const Refusal& RequestParser::refusal() const { return *impl_->refusal; }
void RequestParser::refuse(Refusal why) { impl_->refusal = std::move(why); }
Request& RequestParser::request() { return impl_->request; }
bool RequestParser::is_streamed() const { return impl_->streamed; }
std::string RequestParser::take_body() { return std::exchange(impl_->arrived, {}); }
bool RequestParser::keep_alive() const { return stage() == Stage::complete && impl_->reader->keep_alive(); }
bool RequestParser::is_http10() const { return impl_->http10; }
bool RequestParser::expects_continue() const { return impl_->continue_expected; }

}  // namespace lmsb::http
