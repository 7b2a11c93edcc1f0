// SPDX-License-Identifier: Apache-2.0

// The Gin peer: the same endpoint with the same checks, stores nothing. Usage: gin [PORT]
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/gin-gonic/gin"

	"peers/report"
)

func receive(c *gin.Context) {
	body, err := c.GetRawData()
	if err != nil {
		c.Status(http.StatusBadRequest)
		return
	}
	var answer any
	var problem *report.Problem
	if strings.HasPrefix(c.ContentType(), "application/x-ndjson") {
		answer, problem = report.ReceiveLines(body)
	} else {
		answer, problem = report.Receive(body)
	}
	if problem != nil {
		c.Header("Content-Type", "application/problem+json")
		c.JSON(problem.Status, problem)
		return
	}
	c.JSON(http.StatusOK, answer)
}

func main() {
	port := "0"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(gin.Recovery())
	router.POST("/v1/epro/reports", receive)
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gin:", err)
		os.Exit(1)
	}
	fmt.Println("listening on", listener.Addr())
	fmt.Fprintln(os.Stderr, "gin:", http.Serve(listener, router))
	os.Exit(1)
}
