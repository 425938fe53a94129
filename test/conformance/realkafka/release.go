package realkafka

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Release is one version of Apache Kafka, assembled from Maven's repository.
type Release struct {
	Version   string
	ZooKeeper bool // its brokers need a ZooKeeper, which is among the jars

	scala string   // of its artifact kafka_SCALA
	tools bool     // has the artifact kafka-tools
	extra []string // further artifacts, GROUP:ARTIFACT:VERSION
	leave []string // artifacts of its dependencies that do not exist, GROUP:ARTIFACT
}

// Releases lists those that start under Java 17, oldest first.
func Releases() []Release {
	const slf4j, jaxb = "org.slf4j:slf4j-simple:1.7.36", "javax.xml.bind:jaxb-api:2.3.1"
	return []Release{
		{Version: "0.10.2.2", ZooKeeper: true, scala: "2.12", extra: []string{jaxb}}, // the JDK lost javax.xml.bind with Java 11
		{Version: "0.11.0.3", ZooKeeper: true, scala: "2.12", extra: []string{jaxb}},
		{Version: "1.1.1", ZooKeeper: true, scala: "2.12"},
		{Version: "2.4.1", ZooKeeper: true, scala: "2.13"},
		{Version: "2.8.2", ZooKeeper: true, scala: "2.13"},
		{Version: "3.3.2", scala: "2.13"},
		{Version: "3.9.1", scala: "2.13", tools: true},
		{Version: "4.0.0", scala: "2.13", tools: true, extra: []string{slf4j}},
		{Version: "4.3.1", scala: "2.13", tools: true, extra: []string{slf4j}},
		// Its kafka-tools-api was not published; that of the previous release works.
		{Version: "4.4.0", scala: "2.13", extra: []string{slf4j, "org.apache.kafka:kafka-tools-api:4.3.1"}, leave: []string{"org.apache.kafka:kafka-tools-api"}},
	}
}

// Authorizer returns the settings of brokers that support access-control lists and allow
// everything.
func (r Release) Authorizer() []string {
	class := "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
	switch {
	case r.Version < "2.4":
		class = "kafka.security.auth.SimpleAclAuthorizer"
	case r.ZooKeeper:
		class = "kafka.security.authorizer.AclAuthorizer"
	}
	return []string{"authorizer.class.name=" + class, "super.users=User:ANONYMOUS"}
}

// Jars downloads the release with Maven and keeps it.
func (r Release) Jars(ctx context.Context) (Classpath, error) {
	dir, err := os.MkdirTemp("", "kafka-tunnel-pom-*")
	if err != nil {
		return "", fmt.Errorf("realkafka: %w", err)
	}
	defer os.RemoveAll(dir)
	pom := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(pom, []byte(r.pom()), 0o644); err != nil {
		return "", fmt.Errorf("realkafka: %w", err)
	}
	return Jars(ctx, pom)
}

// Artifacts downloads artifacts with their dependencies, GROUP:ARTIFACT:VERSION.
func Artifacts(ctx context.Context, artifacts ...string) (Classpath, error) {
	return Release{extra: artifacts}.Jars(ctx)
}

// pom lists the artifacts of the release.
func (r Release) pom() string {
	var b strings.Builder
	b.WriteString(`<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>io.github.kafka-tunnel</groupId>
  <artifactId>release</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
`)
	var all []string
	if r.Version != "" {
		all = append(all, "org.apache.kafka:kafka_"+r.scala+":"+r.Version)
	}
	if r.tools {
		all = append(all, "org.apache.kafka:kafka-tools:"+r.Version)
	}
	for _, a := range append(all, r.extra...) {
		p := strings.SplitN(a, ":", 3)
		fmt.Fprintf(&b, "    <dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>", p[0], p[1], p[2])
		if len(r.leave) > 0 {
			b.WriteString("<exclusions>")
			for _, l := range r.leave {
				group, artifact, _ := strings.Cut(l, ":")
				fmt.Fprintf(&b, "<exclusion><groupId>%s</groupId><artifactId>%s</artifactId></exclusion>", group, artifact)
			}
			b.WriteString("</exclusions>")
		}
		b.WriteString("</dependency>\n")
	}
	b.WriteString(`  </dependencies>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version>
    <configuration><includeScope>runtime</includeScope></configuration>
  </plugin></plugins></build>
</project>
`)
	return b.String()
}
