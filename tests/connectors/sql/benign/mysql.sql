SELECT * FROM customers
SELECT id, name FROM customers ORDER BY name DESC
SELECT DISTINCT status FROM orders
SELECT count(*) FROM orders
SELECT count(DISTINCT customer_id) AS buyers FROM orders
SELECT status, count(*) AS n, sum(amount) AS total FROM orders GROUP BY status ORDER BY total DESC
SELECT status, avg(amount) AS mean FROM orders GROUP BY status HAVING count(*) > 1
SELECT c.name, sum(o.amount) AS total FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY total DESC LIMIT 5
SELECT c.name, o.id FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id AND o.status = 'paid'
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE amount > 10)
SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)
SELECT name FROM customers WHERE name LIKE 'Z%' OR name LIKE '%''%'
SELECT name FROM customers WHERE country IS NULL OR vip IS NOT NULL
SELECT id, CASE WHEN amount > 50 THEN 'large' WHEN amount > 1 THEN 'small' ELSE 'tiny' END AS size FROM orders
SELECT id FROM orders WHERE amount BETWEEN 1 AND 50 AND NOT status = 'void'
SELECT id FROM orders UNION SELECT order_id FROM items
SELECT id FROM orders UNION ALL SELECT order_id FROM items ORDER BY 1
SELECT id FROM orders EXCEPT SELECT order_id FROM items
SELECT id FROM orders INTERSECT SELECT order_id FROM items
WITH paid AS (SELECT * FROM orders WHERE status = 'paid') SELECT count(*) FROM paid
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 10) SELECT sum(x) FROM c
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC) AS place FROM orders
SELECT id, sum(amount) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM orders
SELECT id, amount - lag(amount) OVER (ORDER BY id) AS step FROM orders
SELECT id, rank() OVER w AS r FROM orders WINDOW w AS (ORDER BY amount)
SELECT coalesce(note, 'none') AS note, nullif(status, 'open') AS s FROM orders
SELECT upper(name), lower(name), length(name), trim(name) FROM customers
SELECT round(avg(amount), 2) AS mean, min(amount), max(amount) FROM orders
SELECT product, sum(qty * price) AS revenue FROM items GROUP BY product
SELECT * FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) t WHERE n > 1
SELECT a.id, b.id FROM orders a CROSS JOIN orders b WHERE a.id < b.id
SELECT 'DROP TABLE orders; -- not really' AS joke, 'INSERT INTO x' AS other
SELECT id AS `update`, status AS `delete` FROM orders
SELECT /* the paid ones */ id FROM orders -- and nothing else
SELECT DATE_FORMAT(placed, '%Y-%m') AS m, sum(amount) FROM orders GROUP BY m
SELECT YEAR(placed), MONTH(placed), COUNT(*) FROM orders GROUP BY 1, 2
SELECT GROUP_CONCAT(name ORDER BY name SEPARATOR '; ') FROM customers
SELECT CONCAT(name, ' (', country, ')') FROM customers
SELECT IFNULL(note, '-'), IF(vip, 'yes', 'no') FROM orders JOIN customers ON customers.id = orders.customer_id
SELECT `name` FROM `customers` WHERE `name` REGEXP '^Z'
SELECT DATEDIFF(NOW(), placed) FROM orders
SELECT placed + INTERVAL 1 DAY FROM orders
SELECT * FROM orders ORDER BY amount DESC LIMIT 1, 2
SELECT status, SUM(amount) FROM orders GROUP BY status WITH ROLLUP
SELECT "double quoted text" AS t, 'it\'s' AS u
SELECT CAST(amount AS SIGNED), CONVERT(amount, CHAR) FROM orders
SELECT 5 DIV 2, 5 MOD 2, 5--2
SELECT JSON_EXTRACT('{"a": 1}', '$.a')
SHOW TABLES
SHOW FULL COLUMNS FROM orders
SHOW CREATE TABLE orders
DESCRIBE orders
EXPLAIN SELECT * FROM orders
SELECT STR_TO_DATE('2024-01-01', '%Y-%m-%d')
SELECT DATE(placed) AS d, COUNT(*) FROM orders GROUP BY d # by day
SELECT SUBSTRING_INDEX(name, ' ', 1), CHAR_LENGTH(name) FROM customers
SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()
SELECT id FROM orders FORCE INDEX (PRIMARY) WHERE id > 1
