// What the co_await lint must find, and what it must leave alone. Each line to be reported says so; the lint's
// self-test compares. Never compiled into a program.
#include <coroutine>
#include <functional>
#include <string>
#include <utility>

template <class T>
struct Task {
  struct promise_type {
    T value{};
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_value(T v) { value = std::move(v); }
    void unhandled_exception() {}
  };
  bool await_ready() { return true; }
  void await_suspend(std::coroutine_handle<>) {}
  T await_resume() { return {}; }
};

struct Options {
  std::string name;
  int count = 0;
};
Task<int> take(Options options);
Task<int> call(std::function<int()> f);

Task<int> bad_lambda(std::string s) {
  co_return co_await call([s] { return int(s.size()); });  // expect: capturing-lambda-temporary
}
Task<int> bad_aggregate() {
  co_return co_await take(Options{.name = "x", .count = 1});  // expect: aggregate-temporary
}
Task<int> bad_list() {
  co_return co_await take({"x", 1});  // expect: aggregate-temporary
}
Task<int> bad_lambda_coroutine(int n) {
  auto f = [n]() -> Task<int> { co_return co_await take(Options()) + n; };  // expect: capturing-coroutine-lambda
  co_return co_await f();
}
Task<int> bad_branch(bool asks) {
  const int n = asks ? co_await take(Options()) : 0;  // expect: conditional-wait
  co_return n;
}

Task<int> named_lambda(std::string s) {
  auto size = [s] { return int(s.size()); };
  co_return co_await call(std::move(size));
}
Task<int> waits_in_an_if(bool asks) {
  int n = 0;
  if (asks) n = co_await take(Options());
  co_return n > 1 ? n : 1;
}
Task<int> named_aggregate() {
  Options options{.name = "x", .count = 1};
  co_return co_await take(std::move(options));
}
Task<int> lambda_without_captures() {
  co_return co_await call([] { return 1; });
}
Task<int> coroutine_lambda_with_parameters(int n) {
  co_return co_await [](int m) -> Task<int> {
    Options options{.name = "x", .count = m};
    auto size = [m] { return m; };
    co_return co_await take(std::move(options)) + size();
  }(n);
}
