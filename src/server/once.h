#pragma once
// once: a request that makes something is carried out once for each Idempotency-Key of its sender. Who sends it again,
// to the same path with the same body, gets the first answer's body (Idempotent-Replayed: true). It goes on when its
// client goes away: who has lost the connection sends it again. One that failed is carried out again.
#include "server/idempotency.h"
#include "server/routes.h"

namespace lmsb::server {

// `handler` answers 201. `answers` outlives it. Errors, beside the handler's: invalid_idempotency_key, and those of
// IdempotentAnswers::begin().
Handler once(IdempotentAnswers& answers, Handler handler);

}  // namespace lmsb::server
