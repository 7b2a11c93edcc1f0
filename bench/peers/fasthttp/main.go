// SPDX-License-Identifier: Apache-2.0

// The fasthttp peer: the same endpoint with the same checks, stores nothing. Usage: fasthttp [PORT]
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"github.com/valyala/fasthttp"

	"peers/report"
)

var ndjson = []byte("application/x-ndjson")

func receive(ctx *fasthttp.RequestCtx) {
	if string(ctx.Path()) != "/v1/epro/reports" {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		return
	}
	if !ctx.IsPost() {
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
		return
	}
	var answer any
	var problem *report.Problem
	if bytes.HasPrefix(ctx.Request.Header.ContentType(), ndjson) {
		answer, problem = report.ReceiveLines(ctx.PostBody())
	} else {
		answer, problem = report.Receive(ctx.PostBody())
	}
	ctx.SetContentType("application/json")
	if problem != nil {
		ctx.SetStatusCode(problem.Status)
		ctx.SetContentType("application/problem+json")
		answer = problem
	}
	if err := json.NewEncoder(ctx).Encode(answer); err != nil {
		ctx.SetStatusCode(fasthttp.StatusInternalServerError)
	}
}

func main() {
	port := "0"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fasthttp:", err)
		os.Exit(1)
	}
	fmt.Println("listening on", listener.Addr())
	server := fasthttp.Server{Handler: receive, MaxRequestBodySize: 1 << 20}
	fmt.Fprintln(os.Stderr, "fasthttp:", server.Serve(listener))
	os.Exit(1)
}
