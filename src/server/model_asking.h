#pragma once
// Model asking: what the APIs over the local models share: what of a request is for us, and how an answer is sent.
#include <string>

#include "control/control.h"
#include "server/routes.h"

namespace lmsb::server {

// Asks a model with the call's body and path as they are. Errors: invalid_json, invalid_request, and those of
// Control::ask_model().
io::Task<control::ModelAnswer> ask_as_it_is(control::Control& control, Call call, control::ModelWork work);

// For who has used up its tokens, before his request is read. Error: model_tokens_used.
Status check_may_ask(const control::Principal& who);

// 200 with an answer that is whole. One of a sandbox keeps its place among those of it until all of it has been sent.
http::Response send_whole(control::ModelAnswer answer);

}  // namespace lmsb::server
