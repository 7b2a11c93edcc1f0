# SPDX-License-Identifier: Apache-2.0
# What every target is compiled with.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(CCACHE ccache)
if(CCACHE)
  # A precompiled header's time stamp must not spoil the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_PCH_EXTSUM=1 ${CCACHE})
endif()

if(TRIALWIRE_PORTABLE)
  add_compile_options(-march=x86-64-v2 -mpclmul)
else()
  # x86-64-v3 does not imply PCLMUL; without it simdjson falls back silently.
  add_compile_options(-march=x86-64-v3 -mpclmul)
endif()
add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wimplicit-fallthrough
                    -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
                    -fno-omit-frame-pointer -fno-plt)
add_compile_options(-Xclang -fno-pch-timestamp)
add_link_options(-fuse-ld=lld-19)

if(TRIALWIRE_LTO)
  add_compile_options(-flto=thin)
  add_link_options(-flto=thin -Wl,--thinlto-cache-dir=${CMAKE_BINARY_DIR}/lto-cache)
endif()
if(TRIALWIRE_PROFILE OR TRIALWIRE_PROFILE_GENERATE)
  # Functions local to a file are named after it: after its name alone, not the folder it is built in.
  add_compile_options("SHELL:-mllvm -static-func-full-module-prefix=false")
endif()
if(TRIALWIRE_PROFILE)
  # Under a name that changes with its content, so that all objects are compiled with the same one.
  file(SHA256 ${TRIALWIRE_PROFILE} profile_hash)
  set(profile ${CMAKE_BINARY_DIR}/profile-${profile_hash}.profdata)
  configure_file(${TRIALWIRE_PROFILE} ${profile} COPYONLY)
  # Code that was changed since, or does not run under load, is compiled without a profile.
  add_compile_options(-fprofile-use=${profile} -Wno-profile-instr-unprofiled
                      -Wno-profile-instr-out-of-date -Wno-backend-plugin)
endif()
if(TRIALWIRE_PROFILE_GENERATE)
  add_compile_options(-fprofile-generate)
  add_link_options(-fprofile-generate)
endif()
if(TRIALWIRE_SANITIZE)
  add_compile_options(-fsanitize=${TRIALWIRE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TRIALWIRE_SANITIZE})
endif()
if(TRIALWIRE_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
