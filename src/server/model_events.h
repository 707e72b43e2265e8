#pragma once
// Model events: what a local model's server streams, on its way to the client.
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/body.h"
#include "http/message.h"
#include "json/value.h"

namespace lmsb::server {

// What an API makes of the events of one answer, one after the other.
class EventForm {
 public:
  struct Passed {
    std::string octets;    // that the client gets for it
    bool is_last = false;  // nothing may come behind it
  };
  virtual ~EventForm() = default;
  virtual std::string_view content_type() const { return "text/event-stream"; }
  // `event` is whole, with the empty line that ends it.
  virtual Passed pass(std::string_view event) = 0;
  // The last that is said of an answer that cannot go on.
  virtual std::string say(const Error& error) = 0;
};

// Passed on as they are, up to and with `[DONE]`. An error is an event that OpenAI's clients throw.
std::unique_ptr<EventForm> openai_form();

// An answer of the events that can be read from `octets`, each passed on when it is whole, in the form of an API. Where
// they break off, are too long (1 MiB each) or hold an error, what the form says of that comes last.
http::Response pass_on_events(std::shared_ptr<http::BodyReader> octets, std::unique_ptr<EventForm> form);

// The data of an event, all of it in one line; "" = none.
std::string_view data_of(std::string_view event);
// The same event with other data.
std::string with_data(std::string_view event, std::string_view data);

}  // namespace lmsb::server
