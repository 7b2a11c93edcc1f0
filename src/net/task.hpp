// SPDX-License-Identifier: Apache-2.0
// The coroutine of a connection: starts at once, and tells its owner when it has ended. An
// awaitable of Asio would bring an executor, cancellation slots and a frame of twice the size.
#pragma once
#include <coroutine>
#include <exception>

namespace trialwire::net {

/// `Owner` has `void finished() noexcept`, called when the coroutine has run to its end and its
/// frame is destroyed. The coroutine is a member function of Owner.
template <typename Owner>
struct Task {
  struct promise_type {
    explicit promise_type(Owner& task_owner) noexcept : owner(task_owner) {}

    struct End {
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> frame) noexcept {
        Owner& ended = frame.promise().owner;
        frame.destroy();
        ended.finished();
      }
      void await_resume() noexcept {}
    };

    Task get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    End final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    // Handlers' exceptions are caught where they are called; nothing else throws.
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }

    Owner& owner;
  };
};

}  // namespace trialwire::net
