-- The tables of the tutorial's later editions (jessie to bookworm), with the hashes that each of them used.
/*!40101 SET NAMES utf8mb4 */;

CREATE TABLE `virtual_domains` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(50) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO `virtual_domains` VALUES (1,'example.org'),(2,'Example.COM'),(3,'example.com'),(4,'müller.example'),(5,'no dots here');

CREATE TABLE `virtual_users` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `domain_id` int(11) NOT NULL,
  `email` varchar(100) NOT NULL,
  `password` varchar(150) NOT NULL,
  `quota` bigint(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  UNIQUE KEY `email` (`email`),
  KEY `domain_id` (`domain_id`),
  CONSTRAINT `virtual_users_ibfk_1` FOREIGN KEY (`domain_id`) REFERENCES `virtual_domains` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO `virtual_users` VALUES
(1,1,'bcrypt@example.org','{BLF-CRYPT}$2y$05$bvIG6Nmid91Mu9RcmmWZfOSUJnPNP88kp.Eu9puakB65/9Xoyz6P.',0),
(2,1,'sha256@example.org','{SHA256-CRYPT}$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.',1073741824),
(3,2,'md5@example.com','5ebe2294ecd0e0f08eab7690d2a6ee69',0),
(4,2,'plainmd5@example.com','{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69',-5),
(5,3,'argon@example.com','{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA',0),
(6,1,'clear@example.org','{PLAIN}secret',0),
(7,1,'info@other.example','{PLAIN}secret',0),
(8,4,'post@müller.example','{CRYPT}$1$saltsalt$9xy1btjgzLYfb7hivXtC//',0);

CREATE TABLE `virtual_aliases` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `domain_id` int(11) NOT NULL,
  `source` varchar(100) NOT NULL,
  `destination` varchar(100) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `domain_id` (`domain_id`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

INSERT INTO `virtual_aliases` VALUES
(1,1,'team@example.org','bcrypt@example.org'),
(2,1,'team@example.org','sha256@example.org'),
(3,1,'TEAM@example.org','Bcrypt@example.org'),
(4,1,'team@example.org','boss@elsewhere.example'),
(5,2,'@example.com','@example.org'),
(6,99,'orphan@example.org','clear@example.org'),
(7,1,'bad@example.org','not an address@@');
