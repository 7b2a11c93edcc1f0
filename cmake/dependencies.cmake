# SPDX-License-Identifier: Apache-2.0
# Debian 12's packages; tools/setup installs them.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(simdjson REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(date REQUIRED)
find_library(ISAL_LIBRARY isal REQUIRED)
find_library(MARIADB_LIBRARY mariadb REQUIRED)
find_path(MARIADB_INCLUDE mysql.h PATH_SUFFIXES mariadb REQUIRED)
find_library(RDKAFKA_LIBRARY rdkafka REQUIRED)
if(TRIALWIRE_TESTS)
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
endif()

add_library(trialwire_asio INTERFACE)
target_compile_definitions(trialwire_asio INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY BOOST_ERROR_CODE_HEADER_ONLY)
target_link_libraries(trialwire_asio INTERFACE Boost::headers Threads::Threads)

add_library(trialwire_mariadb INTERFACE)
target_include_directories(trialwire_mariadb SYSTEM INTERFACE ${MARIADB_INCLUDE})
target_link_libraries(trialwire_mariadb INTERFACE ${MARIADB_LIBRARY})
