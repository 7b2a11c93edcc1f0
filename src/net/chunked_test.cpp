// SPDX-License-Identifier: Apache-2.0
#include "net/chunked.hpp"

#include <gtest/gtest.h>

#include <string>

namespace trialwire::net {
namespace {

struct Decoded {
  ChunkDecoder::State state;
  std::string body;
  std::size_t consumed;
  bool over_limit = false;
  bool trailers_over_limit = false;
};

/// In place, `piece` bytes at a time.
Decoded decode(std::string text, std::size_t piece, std::size_t body_max = 1'000'000) {
  ChunkDecoder decoder;
  Decoded got{ChunkDecoder::State::more, {}, 0};
  while (got.consumed < text.size() && got.state == ChunkDecoder::State::more) {
    char* at = text.data() + got.consumed;
    std::size_t size = std::min(piece, text.size() - got.consumed);
    auto step = decoder.decode(at, size, at, body_max - got.body.size());
    got.body.append(at, step.produced);
    got.consumed += step.consumed;
    got.state = step.state;
  }
  got.over_limit = decoder.over_limit();
  got.trailers_over_limit = decoder.trailers_over_limit();
  return got;
}

TEST(ChunkDecoder, joins_chunks_and_leaves_what_follows_however_they_are_cut) {
  std::string text =
      "5\r\nhello\r\n1;a=b;c=\"d \\\" e\"\r\n \r\n00A\r\n0123456789\r\n0\r\n"
      "Trailer: x\r\nOther:\r\n\r\n";
  for (std::size_t piece = 1; piece < text.size() + 8; ++piece) {
    Decoded got = decode(text + "GET / HT", piece);
    EXPECT_EQ(got.state, ChunkDecoder::State::done) << piece;
    EXPECT_EQ(got.body, "hello 0123456789") << piece;
    EXPECT_EQ(got.consumed, text.size()) << piece;
  }
}

TEST(ChunkDecoder, refuses_what_is_malformed_however_it_is_cut) {
  for (std::string text : {"\r\n",
                           " 5\r\nhello\r\n",
                           "+5\r\nhello\r\n",
                           "-1\r\n",
                           "0x5\r\nhello\r\n",
                           "5 \r\nhello\r\n",
                           "5\nhello\n",
                           "5\r\nhelloX",
                           "5\r\nhello\rX",
                           "5\r\nhello\n",
                           "5\rhello",
                           "g\r\n",
                           "10000000000000000\r\n",
                           "5;\r\nhello\r\n",
                           "5;=b\r\nhello\r\n",
                           "5;a=\r\nhello\r\n",
                           "5 a\r\nhello\r\n",
                           "5 ;\r\nhello\r\n",
                           "5;a \r\nhello\r\n",
                           "5;a= \r\nhello\r\n",
                           "5;a=b \r\nhello\r\n",
                           "5;a=b c\r\nhello\r\n",
                           "5;a=\"b\"\t\r\nhello\r\n",
                           "5;a=\"b\r\n\"\r\nhello\r\n",
                           "5;a b\r\nhello\r\n",
                           "5;a=\"b\"c\r\nhello\r\n",
                           "0\r\nBad Name: x\r\n\r\n",
                           "0\r\n folded\r\n\r\n",
                           "0\r\nX: \x01\r\n\r\n",
                           "0\r\nX: y\n\r\n",
                           "0\r\n\rX",
                           "0\n\n",
                           "0\r\n: x\r\n\r\n",
                           "0\r\nX\r\n\r\n"}) {
    for (std::size_t piece : {std::size_t{1}, std::size_t{2}, text.size()})
      EXPECT_EQ(decode(text, piece).state, ChunkDecoder::State::malformed) << text << piece;
  }
}

TEST(ChunkDecoder, lets_pass_the_white_space_of_extensions_however_it_is_cut) {
  for (std::string text : {"5 ;a\r\nhello\r\n0\r\n\r\n", "5\t; \ta = b\r\nhello\r\n0\r\n\r\n",
                           "5;a =\"b\" ; c;d= e ;f\r\nhello\r\n0 ; z\r\n\r\n"}) {
    for (std::size_t piece : {std::size_t{1}, std::size_t{2}, text.size()}) {
      Decoded got = decode(text, piece);
      EXPECT_EQ(got.state, ChunkDecoder::State::done) << text << piece;
      EXPECT_EQ(got.body, "hello") << text << piece;
    }
  }
}

TEST(ChunkDecoder, stops_before_a_chunk_that_would_pass_the_limit) {
  std::string text = "5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n";
  EXPECT_EQ(decode(text, 3, 11).state, ChunkDecoder::State::done);
  for (std::size_t piece : {std::size_t{1}, text.size()}) {
    Decoded got = decode(text, piece, 10);
    EXPECT_EQ(got.state, ChunkDecoder::State::malformed);
    EXPECT_TRUE(got.over_limit);
    EXPECT_EQ(got.body, "hello");
  }
  EXPECT_TRUE(decode("ffffffffffffff\r\n", 1, 10).over_limit);
}

TEST(ChunkDecoder, bounds_a_chunks_line_and_the_trailers) {
  std::string long_name(300, 'a');
  EXPECT_EQ(decode("5;" + long_name + "\r\nhello\r\n", 7).state, ChunkDecoder::State::malformed);
  EXPECT_EQ(decode(std::string(300, '0') + "5\r\nhello\r\n", 7).state,
            ChunkDecoder::State::malformed);
  std::string trailers = "0\r\n";
  while (trailers.size() < ChunkDecoder::trailer_bytes_max) trailers += "X: yyyyyyyyyyyyyyy\r\n";
  Decoded got = decode(trailers + "X: y\r\n\r\n", 100);
  EXPECT_EQ(got.state, ChunkDecoder::State::malformed);
  EXPECT_TRUE(got.trailers_over_limit);
  EXPECT_FALSE(decode("0\r\n: x\r\n\r\n", 100).trailers_over_limit);
}

}  // namespace
}  // namespace trialwire::net
