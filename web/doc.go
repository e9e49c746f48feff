// Package web is the demo page of gateway dev: a chat with the stock phoenix.js, the frames that it sends and gets, and
// lines to copy. phoenix.js is embedded where npm was there at build time; without it the page says what to install.
package web
