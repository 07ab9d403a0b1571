package agent

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	keyBytes   = 32
	nonceBytes = 16
	tagBytes   = 16
)

// decrypt opens a secret input that Port has encrypted with the client secret
// (aes256-gcm): base64 of a nonce of 16 bytes, the ciphertext and a tag of 16 bytes.
// Errors do not hold the text.
func decrypt(encrypted, secret string) (string, error) {
	if len(secret) < keyBytes {
		return "", fmt.Errorf("the client secret has %d bytes, and the key is the first %d", len(secret), keyBytes)
	}
	data, err := base64.StdEncoding.DecodeString(onlyBase64(encrypted))
	if err != nil {
		return "", errors.New("not base64")
	}
	if len(data) < nonceBytes+tagBytes {
		return "", errors.New("too short to be encrypted")
	}
	block, err := aes.NewCipher([]byte(secret[:keyBytes]))
	if err != nil {
		return "", err
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, nonceBytes)
	if err != nil {
		return "", err
	}
	plain, err := gcm.Open(nil, data[:nonceBytes], data[nonceBytes:], nil)
	if err != nil {
		return "", errors.New("it is not encrypted with this client secret")
	}
	if !utf8.Valid(plain) {
		return "", errors.New("what was encrypted is no text")
	}
	return string(plain), nil
}

// onlyBase64 drops what is not of the alphabet, line breaks for example.
func onlyBase64(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/' || r == '=' {
			return r
		}
		return -1
	}, s)
}

// decryptPath replaces the text at a path such as payload.properties.list.0.token by
// what was encrypted. A path that leads nowhere is passed over.
func decryptPath(m *object, path, secret string) error {
	var parent any = m
	steps := strings.Split(path, ".")
	last := steps[len(steps)-1]
	for _, step := range steps[:len(steps)-1] {
		parent = element(parent, step)
	}
	encrypted := element(parent, last)
	if encrypted == nil {
		return nil
	}
	s, ok := encrypted.(string)
	if !ok {
		return fmt.Errorf("%s: not a text", path)
	}
	plain, err := decrypt(s, secret)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	switch p := parent.(type) {
	case *object:
		p.set(last, plain)
	case []any:
		i, _ := strconv.Atoi(last) // element has read it
		p[i] = plain
	}
	return nil
}

// element is a member of an object or an element of a list; nil where there is none.
func element(v any, step string) any {
	list, ok := v.([]any)
	if !ok {
		return get(v, step)
	}
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(list) {
		return list[i]
	}
	return nil
}
