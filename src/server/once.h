#pragma once
// once: a request that makes something is carried out once for each Idempotency-Key of its sender. Who sends it again,
// to the same path with the same body, gets the first answer's body (Idempotent-Replayed: true). One that failed, or
// whose client went away before it was answered, is carried out again.
#include "server/idempotency.h"
#include "server/routes.h"

namespace lmsb::server {

// `handler` answers 201. `answers` outlives it. Errors, beside the handler's: invalid_idempotency_key, and those of
// IdempotentAnswers::begin().
Handler once(IdempotentAnswers& answers, Handler handler);

}  // namespace lmsb::server
