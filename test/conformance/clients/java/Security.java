import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;

/** TLS and SASL, as the words say. */
class Security {
    static void settings(Properties p, Map<String, String> task) {
        String protocol = task.get("security");
        if (protocol == null) {
            return;
        }
        p.put("security.protocol", protocol);
        if (protocol.endsWith("SSL")) {
            p.put("ssl.truststore.type", "PKCS12");
            p.put("ssl.truststore.location", trusted(task.get("ca")).toString());
            p.put("ssl.truststore.password", "trusted");
            p.put("ssl.endpoint.identification.algorithm", "https"); // the default from 2.0 on
        }
        if (!protocol.startsWith("SASL_")) {
            return;
        }
        // Which version of SaslHandshake is used is not for us to choose: 0.11 knows only version 0.
        if ("0".equals(task.get("handshake")) && knows("common.requests.SaslAuthenticateRequest")) {
            throw new UnsupportedOperationException("the version of SaslHandshake");
        }
        String mechanism = task.get("mechanism");
        String user = " required username=\"" + task.get("username") + "\" password=\"" + task.get("password") + "\";";
        String module = "plain.PlainLoginModule" + user;
        if (mechanism.startsWith("SCRAM-")) {
            module = "scram.ScramLoginModule" + user;
        } else if (mechanism.equals("OAUTHBEARER")) {
            if (!knows("common.security.oauthbearer.OAuthBearerLoginModule")) {
                throw new UnsupportedOperationException(mechanism);
            }
            module = "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"" + task.get("username") + "\";";
        }
        p.put("sasl.mechanism", mechanism);
        p.put("sasl.jaas.config", "org.apache.kafka.common.security." + module);
    }

    static boolean knows(String name) {
        try {
            Class.forName("org.apache.kafka." + name);
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    /** A key store with the authority of a PEM file: clients before 2.7 read no PEM. */
    static Path trusted(String pem) {
        try (InputStream in = new FileInputStream(pem)) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
            Path file = Files.createTempFile("trusted", ".p12");
            file.toFile().deleteOnExit();
            try (OutputStream out = new FileOutputStream(file.toFile())) {
                store.store(out, "trusted".toCharArray());
            }
            return file;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** Waits for each record and a while after it, so that they fill the time of the word over. */
    static void gap(Map<String, String> task, Future<?> sent) throws Exception {
        if (task.containsKey("over")) {
            sent.get();
            Thread.sleep(1000L * Integer.parseInt(task.get("over")) / Integer.parseInt(task.get("count")));
        }
    }
}
