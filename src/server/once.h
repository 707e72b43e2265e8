#pragma once
// once: a request that makes something is carried out once for each Idempotency-Key of its sender. Who sends it again,
// to the same path and query with the same body, gets the first answer's body (Idempotent-Replayed: true). It goes on
// when its client goes away, up to 16 such of one principal: who has lost the connection sends it again. One that
// failed is carried out again.
//
// Of a body that is read as it comes nobody knows what it is before its end: a request that is sent again is read to
// its end, and nothing of it is done, before it is answered. Such a request ends with its client until its body is
// there.
//
// The handler passes Call::promised on with what it asks for: what outlives the daemon is written down with its answer.
#include <string>

#include "control/idempotency.h"
#include "server/routes.h"

namespace lmsb::server {

using control::IdempotentAnswers;

// `handler` answers 201 with an object, and lets go of its request's body once it has read it: it may go on for long.
// One that is read as it comes it reads to its end. `location`: what stands before the object's id in Location of an
// answer that is given again, as in the first one: "/v1/volumes/"; "" = there is none. `answers` outlives it. Errors,
// beside the handler's: invalid_idempotency_key, sandbox_busy (too many of the sender's go on without their clients),
// and those of IdempotentAnswers::begin().
Handler once(IdempotentAnswers& answers, std::string location, Handler handler);

}  // namespace lmsb::server
