#pragma once
// credential_request: the head of a sandbox's request as the host of a credential gets it, and whether its answer says
// where it ends. Pure.
#include <string>
#include <string_view>

#include "base/result.h"
#include "network/credential.h"
#include "network/request_head.h"

namespace lmsb::network {

// `head` has been found. The header of the credential is the only one of its name, Host is the credential's; where that
// has a path, fields that some hosts would take for another one (X-Original-URL) or another method are left out. Errors
// (permission_denied, credential_request_refused): it was for another host; a method that could tell what was sent
// (TRACE, TRACK); a path that is not below the credential's, or could be read in two ways.
Result<std::string> request_with(const Credential& credential, std::string_view secret, const RequestHead& head);

// Of a path: segments of visible octets that are neither empty nor dots, and nothing encoded that could be such, for
// hosts that decode twice neither.
bool is_plain_path(std::string_view path);

bool is_header_name(std::string_view name);
// Of a part of a header's value; also "".
bool is_header_value(std::string_view value);
bool is_same_header(std::string_view a, std::string_view b);

// Looks at an answer that comes by.
class AnswerFraming {
 public:
  void take(std::string_view octets);
  // Its head said where it ends: who gets less knows it. Not so of one that lasts until its connection ends.
  bool is_said() const { return is_said_; }

 private:
  void read_head(std::string_view head);
  std::string head_;  // so far
  bool is_read_ = false;
  bool is_said_ = false;
};

}  // namespace lmsb::network
