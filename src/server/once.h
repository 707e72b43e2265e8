#pragma once
// once: a request that makes something is carried out once for each Idempotency-Key of its sender. Who sends it again,
// to the same path with the same body, gets the first answer's body (Idempotent-Replayed: true). It goes on when its
// client goes away, up to 16 such of one principal: who has lost the connection sends it again. One that failed is
// carried out again.
//
// The handler passes Call::promised on with what it asks for: what outlives the daemon is written down with its answer.
#include "control/idempotency.h"
#include "server/routes.h"

namespace lmsb::server {

using control::IdempotentAnswers;

// `handler` answers 201, and lets go of its request's body once it has read it: it may go on for long. `answers`
// outlives it. Errors, beside the handler's: invalid_idempotency_key, sandbox_busy (too many of the sender's go on
// without their clients), and those of IdempotentAnswers::begin().
Handler once(IdempotentAnswers& answers, Handler handler);

}  // namespace lmsb::server
